/* floor 1.8 - partial softmax: what a query reads from some of its keys, before the division.
 *
 * A row of attention is  sum_j w_j v_j / sum_j w_j  with w_j = exp(s q.k_j), s the scale of
 * scores, or with an estimate of it. Both sums, over any set of keys, are kept in log-sum-exp form,
 *   sum_j w_j v_j = exp(log_scale) out,   sum_j w_j = exp(log_scale) den
 * so that nothing overflows. Sums over disjoint sets of keys add up to those over all of them.
 * No keys: out = den = 0, log_scale = -INFINITY.
 */
#ifndef PF_PARTIAL_SOFTMAX_H
#define PF_PARTIAL_SOFTMAX_H

#include "kernels.h"

#include <math.h>
#include <string.h>

typedef struct pf_partial {
    float *out;       /* [rows, D] */
    float *den;       /* [rows] */
    float *log_scale; /* [rows] */
} pf_partial;

static inline pf_partial pf_partial_row(pf_partial part, size_t row, size_t D) {
    return (pf_partial){part.out + row * D, part.den + row, part.log_scale + row};
}

static inline void pf_partial_clear(pf_partial part, size_t rows, size_t D) {
    memset(part.out, 0, rows * D * sizeof *part.out);
    memset(part.den, 0, rows * sizeof *part.den);
    for (size_t t = 0; t < rows; t++) part.log_scale[t] = -INFINITY;
}

/* to += from, one row each, at the larger of their log-scales. */
static inline void pf_partial_add(pf_partial to, pf_partial from, size_t D) {
    const pf_kernels *kernels = pf_kernels_get();
    if (*from.log_scale == -INFINITY) return;
    float max = *to.log_scale > *from.log_scale ? *to.log_scale : *from.log_scale;
    float to_weight = expf(*to.log_scale - max), from_weight = expf(*from.log_scale - max);
    kernels->scale(to.out, to_weight, D);
    kernels->axpy(to.out, from_weight, from.out, D);
    *to.den = to_weight * *to.den + from_weight * *from.den;
    *to.log_scale = max;
}

#endif
