/* floor 3.1 - pickle machine: the stack and the values of the machine that a pickle is a program for.
 *
 * Invariant: every value lives in a block of the arena until the pickle is freed, so that the stack, the
 * memo and containers hold plain pointers. A value is written once, but for containers, which grow.
 * After a failure the message is set and nothing more may be run.
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
    size_t *marks; /* depths of the stack */
    size_t n_marks, marks_room;
    pf_value **memo;          /* NULL where nothing was kept */
    size_t n_memo, memo_room; /* n_memo: times that something was kept, for MEMOIZE */
    size_t n_values, n_items;
    pf_error *error;
} pf_machine;

/* All but the arena, which is the values' and freed by pf_values_free. */
void pf_machine_free(pf_machine *m);
void pf_values_free(struct pf_value_block *blocks);

/* "the pickle is damaged near byte ...: what"; false. */
bool pf_machine_fail(pf_machine *m, const char *what);

/* A zeroed value; NULL beyond the limit of values, or without memory. */
pf_value *pf_machine_new(pf_machine *m, pf_value_kind kind);
/* Appends n items to a LIST, or n / 2 pairs to a DICT (n is even). */
bool pf_machine_add(pf_machine *m, pf_value *container, pf_value *const *items, size_t n);

/* Pushes a value; false for NULL, whose maker has said why. */
bool pf_machine_push(pf_machine *m, pf_value *value);
/* Takes the topmost value, or n of them (valid until the next push); looks at it. Nothing below the last
 * mark can be reached. NULL with a message if there is none. */
pf_value *pf_machine_pop(pf_machine *m);
pf_value *const *pf_machine_pop_many(pf_machine *m, size_t n);
pf_value *pf_machine_top(pf_machine *m);
bool pf_machine_mark(pf_machine *m);
/* Takes the last mark and what is above it: items [*n], valid until the next push. */
bool pf_machine_pop_mark(pf_machine *m, pf_value *const **items, size_t *n);

/* The memo: keeps the topmost value under an index, and pushes what is kept there. */
bool pf_machine_keep(pf_machine *m, uint64_t index);
bool pf_machine_recall(pf_machine *m, uint64_t index);

/* The next bytes of the program. */
bool pf_machine_take(pf_machine *m, uint64_t size, pf_slice *part);
/* A little-endian number of `size` <= 8 bytes. */
bool pf_machine_take_number(pf_machine *m, size_t size, uint64_t *value);

#endif
