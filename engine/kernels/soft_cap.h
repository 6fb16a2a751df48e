/* floor 1.0 - soft cap: numbers drawn towards a largest magnitude (Gemma Team 2024, Gemma 2). */
#ifndef PF_SOFT_CAP_H
#define PF_SOFT_CAP_H

#include <math.h>
#include <stddef.h>

/* x_i = cap tanh(x_i / cap); cap 0 leaves x as it is */
static inline void pf_soft_cap(float *x, size_t n, float cap) {
    for (size_t i = 0; cap > 0 && i < n; i++) x[i] = cap * tanhf(x[i] / cap);
}

#endif
