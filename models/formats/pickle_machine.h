/* floor 3.1 - pickle machine: the stack machine that runs a pickle.
 *
 * Invariant: every value is in a block of the arena until the pickle is freed, so the stack, the
 * memo and containers hold plain pointers. Only containers change after they are made: they grow.
 * After a failure the message is set, and no other function may be called except pf_machine_free
 * and pf_values_free.
 */
#ifndef PF_PICKLE_MACHINE_H
#define PF_PICKLE_MACHINE_H

#include "error.h"
#include "file.h"
#include "pickle_value.h"

struct pf_value_block;

typedef struct pf_machine {
    pf_slice bytes;
    size_t at;                     /* of the next opcode or argument */
    struct pf_value_block *blocks; /* the arena */
    pf_value **stack;
    size_t depth, stack_room;
    size_t *marks; /* stack depths */
    size_t n_marks, marks_room;
    pf_value **memo;          /* NULL where nothing is kept */
    size_t n_memo, memo_room; /* n_memo counts pf_machine_keep: the index for MEMOIZE */
    size_t n_values, n_items;
    pf_error *error;
} pf_machine;

/* Frees everything but the arena, which pf_values_free frees. */
void pf_machine_free(pf_machine *m);
void pf_values_free(struct pf_value_block *blocks);

/* Fails with "the pickle is damaged near byte ...: what"; returns false. */
bool pf_machine_fail(pf_machine *m, const char *what);

/* A new, zeroed value; NULL if there are too many, or memory runs out. */
pf_value *pf_machine_new(pf_machine *m, pf_value_kind kind);
/* Appends n items to a LIST, or n / 2 pairs to a DICT (n is even). */
bool pf_machine_add(pf_machine *m, pf_value *container, pf_value *const *items, size_t n);

/* Pushes a value. False also if it is NULL: then pf_machine_new has set the message. */
bool pf_machine_push(pf_machine *m, pf_value *value);
/* Pops the topmost value, or the n topmost, in order (valid until the next push). top returns the
 * value without popping it. Values below the last mark are out of reach; NULL with a message if too
 * few are above it. */
pf_value *pf_machine_pop(pf_machine *m);
pf_value *const *pf_machine_pop_many(pf_machine *m, size_t n);
pf_value *pf_machine_top(pf_machine *m);
bool pf_machine_mark(pf_machine *m);
/* Pops everything down to the last mark, and the mark: items [*n], valid until the next push. */
bool pf_machine_pop_mark(pf_machine *m, pf_value *const **items, size_t *n);

/* The memo: keep stores the topmost value under an index, recall pushes the value stored there. */
bool pf_machine_keep(pf_machine *m, uint64_t index);
bool pf_machine_recall(pf_machine *m, uint64_t index);

/* Reads the next `size` bytes of the pickle. */
bool pf_machine_take(pf_machine *m, uint64_t size, pf_slice *part);
/* Reads a little-endian number of `size` <= 8 bytes. */
bool pf_machine_take_number(pf_machine *m, size_t size, uint64_t *value);

#endif
