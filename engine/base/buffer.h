/* floor 0.2 - buffer: arrays and texts that grow. */
#ifndef PF_BUFFER_H
#define PF_BUFFER_H

#include "error.h"

#include <stddef.h>

/* The block, if it has room for `needed` items of `size` bytes; otherwise one that has, at least
 * twice as large, so that adding n items one by one copies O(n) of them. Sets *capacity. NULL with
 * a message that names `what` if memory runs out: the old block is valid then.
 *
 *   int *items = pf_grow(list->items, &list->capacity, list->n + 1, sizeof *items, "a list", e);
 *   if (!items) return false;
 *   list->items = items;
 */
static inline void *pf_grow(void *block, size_t *capacity, size_t needed, size_t size,
                            const char *what, pf_error *error);
void *pf_grow_block(void *block, size_t *capacity, size_t needed, size_t size, const char *what,
                    pf_error *error); /* the part of pf_grow that is not worth inlining */

/* A text being written. Zero it first; free bytes with pf_free. */
typedef struct pf_buffer {
    char *bytes; /* NULL while it is empty */
    size_t n, capacity;
} pf_buffer;

bool pf_buffer_put(pf_buffer *buffer, const char *bytes, size_t n, pf_error *error);

static inline void *pf_grow(void *block, size_t *capacity, size_t needed, size_t size,
                            const char *what, pf_error *error) {
    return needed <= *capacity ? block : pf_grow_block(block, capacity, needed, size, what, error);
}

#endif
