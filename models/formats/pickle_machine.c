/* floor 3.1 - pickle machine: the stack machine that runs a pickle.
 *
 * Invariant: every container is in the arena, so freeing the arena can free their arrays too. */
#include "pickle_machine.h"

#include "memory.h"

#include <string.h>

/* More than any model's file needs (16 values per tensor), and few enough that a hostile one costs
 * little. */
#define MAX_VALUES ((size_t)1 << 19)
#define MAX_STACK ((size_t)1 << 17)
#define MAX_MARKS ((size_t)1 << 10)
#define MAX_MEMO ((size_t)1 << 19)
#define MAX_ITEMS ((size_t)1 << 20) /* of all containers together */
#define BLOCK 256

struct pf_value_block {
    struct pf_value_block *next;
    size_t used;
    pf_value values[BLOCK];
};

void pf_machine_free(pf_machine *m) {
    pf_free(m->stack);
    pf_free(m->marks);
    pf_free(m->memo);
}

void pf_values_free(struct pf_value_block *blocks) {
    while (blocks) {
        struct pf_value_block *next = blocks->next;
        for (size_t i = 0; i < blocks->used; i++) {
            const pf_value *value = &blocks->values[i];
            if (value->kind == PF_VALUE_LIST || value->kind == PF_VALUE_DICT)
                pf_free((void *)value->as.list.items);
        }
        pf_free(blocks);
        blocks = next;
    }
}

bool pf_machine_fail(pf_machine *m, const char *what) {
    return pf_fail(m->error, "the pickle is damaged near byte %zu: %s", m->at, what);
}

static bool too_large(pf_machine *m, const char *what) {
    return pf_fail(m->error, "the pickle has more %s than any model needs; it is refused", what);
}

/* ---- values ---- */

pf_value *pf_machine_new(pf_machine *m, pf_value_kind kind) {
    struct pf_value_block *first = m->blocks;
    if (m->n_values == MAX_VALUES) {
        too_large(m, "values");
        return NULL;
    }
    if (!first || first->used == BLOCK) {
        first = pf_calloc(1, sizeof *first, "a pickle", m->error);
        if (!first) return NULL;
        first->next = m->blocks;
        m->blocks = first;
    }
    pf_value *value = &first->values[first->used++];
    value->kind = kind;
    m->n_values++;
    return value;
}

/* Returns the array with room for entry `index`. It grows by doubling; new entries are zero. */
static void *make_room(pf_machine *m, void *array, size_t index, size_t *room, size_t size) {
    if (index < *room) return array;
    size_t wanted = *room ? *room * 2 : 16;
    while (wanted <= index) wanted *= 2;
    char *grown = pf_realloc(array, wanted, size, "a pickle", m->error);
    if (!grown) return NULL;
    memset(grown + *room * size, 0, (wanted - *room) * size);
    *room = wanted;
    return grown;
}

bool pf_machine_add(pf_machine *m, pf_value *container, pf_value *const *items, size_t n) {
    size_t per_item = container->kind == PF_VALUE_DICT ? 2 : 1;
    size_t used = container->as.list.count * per_item;
    if (n > MAX_ITEMS - m->n_items) return too_large(m, "items");
    if (n == 0) return true;
    void *array = make_room(m, (void *)container->as.list.items, used + n - 1,
                            &container->as.list.room, sizeof(pf_value *));
    if (!array) return false;
    container->as.list.items = array;
    for (size_t i = 0; i < n; i++) container->as.list.items[used + i] = items[i];
    container->as.list.count += n / per_item;
    m->n_items += n;
    return true;
}

/* ---- stack ---- */

bool pf_machine_push(pf_machine *m, pf_value *value) {
    if (!value) return false;
    if (m->depth == MAX_STACK) return too_large(m, "values on its stack");
    void *stack = make_room(m, m->stack, m->depth, &m->stack_room, sizeof(pf_value *));
    if (!stack) return false;
    m->stack = stack;
    m->stack[m->depth++] = value;
    return true;
}

pf_value *const *pf_machine_pop_many(pf_machine *m, size_t n) {
    size_t base = m->n_marks ? m->marks[m->n_marks - 1] : 0;
    if (m->depth - base < n) {
        pf_machine_fail(m, "a value is missing from its stack");
        return NULL;
    }
    m->depth -= n;
    return m->stack + m->depth;
}

pf_value *pf_machine_pop(pf_machine *m) {
    pf_value *const *last = pf_machine_pop_many(m, 1);
    return last ? *last : NULL;
}

pf_value *pf_machine_top(pf_machine *m) {
    pf_value *value = pf_machine_pop(m);
    if (value) m->depth++;
    return value;
}

bool pf_machine_mark(pf_machine *m) {
    if (m->n_marks == MAX_MARKS) return too_large(m, "marks");
    void *marks = make_room(m, m->marks, m->n_marks, &m->marks_room, sizeof *m->marks);
    if (!marks) return false;
    m->marks = marks;
    m->marks[m->n_marks++] = m->depth;
    return true;
}

bool pf_machine_pop_mark(pf_machine *m, pf_value *const **items, size_t *n) {
    *items = NULL;
    *n = 0;
    if (m->n_marks == 0) return pf_machine_fail(m, "a mark is missing from its stack");
    size_t mark = m->marks[--m->n_marks];
    *n = m->depth - mark;
    m->depth = mark;
    if (*n > 0) *items = m->stack + mark;
    return true;
}

/* ---- memo ---- */

bool pf_machine_keep(pf_machine *m, uint64_t index) {
    pf_value *value = pf_machine_top(m);
    if (!value) return false;
    if (index >= MAX_MEMO) return too_large(m, "memo entries");
    void *memo = make_room(m, m->memo, (size_t)index, &m->memo_room, sizeof(pf_value *));
    if (!memo) return false;
    m->memo = memo;
    m->memo[index] = value;
    m->n_memo++;
    return true;
}

bool pf_machine_recall(pf_machine *m, uint64_t index) {
    if (index >= m->memo_room || !m->memo[index])
        return pf_machine_fail(m, "it recalls a value that it never stored");
    return pf_machine_push(m, m->memo[index]);
}

/* ---- program ---- */

bool pf_machine_take(pf_machine *m, uint64_t size, pf_slice *part) {
    if (!pf_slice_part(m->bytes, m->at, size, part)) return pf_machine_fail(m, "it is truncated");
    m->at += part->size;
    return true;
}

bool pf_machine_take_number(pf_machine *m, size_t size, uint64_t *value) {
    pf_slice part;
    *value = 0;
    if (!pf_machine_take(m, size, &part)) return false;
    for (size_t i = 0; i < size; i++) *value |= (uint64_t)part.data[i] << (8 * i);
    return true;
}
