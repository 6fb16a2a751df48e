/* floor 6.1 - shared by the tests of the kernels: random floats, guarded outputs, every table. */
#ifndef PF_KERNEL_TESTING_H
#define PF_KERNEL_TESTING_H

#include "kernels.h"
#include "memory.h"
#include "quant.h"
#include "rng.h"
#include "testing.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { GUARD = 16 };

static pf_rng rng;

static inline float normal(void) { return (float)pf_rng_normal(&rng); }

static inline float *floats(size_t n) {
    float *x = pf_calloc(n + 1, sizeof *x, "floats", NULL);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = normal();
    return x;
}

/* Calls test(table) for every table that this machine can run. */
static inline void for_each_table(void (*test)(const pf_kernels *fast)) {
    size_t count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    assert_true(count >= 1 && strcmp(tables[0]->name, "plain") == 0);
    for (size_t i = 0; i < count; i++) {
        pf_rng_seed(&rng, 11, 0);
        test(tables[i]);
    }
}

static inline const pf_kernels *plain(void) {
    size_t count;
    return pf_kernels_all(&count)[0];
}

static inline void close_to(const char *what, size_t n, float got, double expected,
                            double tolerance) {
    if (fabs(got - expected) <= tolerance) return;
    fail_msg("%s, n = %zu: got %.9g, expected %.9g, tolerance %g", what, n, (double)got, expected,
             tolerance);
}

/* Room for n floats at an unaligned address, between guards that must not be written. */
typedef struct {
    float *block, *x;
    size_t n;
} guarded;

static inline guarded guarded_new(size_t n) {
    guarded g = {floats(n + 2 * GUARD + 1), NULL, n};
    g.x = (float *)(void *)((char *)(g.block + GUARD) + 4 * (n % 3));
    memset(g.block, 0x5a, (n + 2 * GUARD) * sizeof *g.block);
    return g;
}

static inline void guarded_free(guarded g) {
    const uint8_t *bytes = (const uint8_t *)g.block, *from = (const uint8_t *)g.x;
    const uint8_t *end = bytes + (g.n + 2 * GUARD) * sizeof(float);
    for (const uint8_t *p = bytes; p < end; p++)
        if (p < from || p >= from + g.n * sizeof(float)) assert_int_equal(*p, 0x5a);
    pf_free(g.block);
}

#endif
