/* floor 0.0 - carve: several arrays from one block of memory.
 *
 * The same function first counts and then hands out, so that the two cannot differ:
 *
 *   static size_t lay_out(buffers *b, float *memory, size_t n) {
 *       pf_carve carve = {.memory = memory};
 *       b->q = pf_carve_floats(&carve, n);
 *       b->k = pf_carve_floats(&carve, n);
 *       return carve.used;
 *   }
 *   size_t floats = lay_out(&b, NULL, n);
 *   lay_out(&b, pf_calloc(floats, sizeof(float), ...), n);
 */
#ifndef PF_CARVE_H
#define PF_CARVE_H

#include <stddef.h>

typedef struct pf_carve {
    float *memory; /* starts on a cache line, as pf_calloc's blocks do; NULL: only count */
    size_t used;   /* floats, whole cache lines */
} pf_carve;

/* n floats rounded up to whole cache lines of 64 bytes. */
static inline size_t pf_cache_line_floats(size_t n) { return (n + 15) / 16 * 16; }

/* The next n floats, which start on a cache line of their own; NULL while only counting. */
static inline float *pf_carve_floats(pf_carve *carve, size_t n) {
    float *array = carve->memory ? carve->memory + carve->used : NULL;
    carve->used += pf_cache_line_floats(n);
    return array;
}

#endif
