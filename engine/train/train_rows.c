/* floor 2.2 - train rows: the operations on single tokens, each with its derivative. */
#include "train_rows.h"

#include <tgmath.h>

pf_real pf_rms_forward(size_t n, const pf_real *x, const pf_real *w, pf_real eps, pf_real *y) {
    pf_real r = 1 / sqrt(pf_real_dot(x, x, n) / (pf_real)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = r * x[i] * w[i];
    return r;
}

void pf_rms_backward(size_t n, const pf_real *x, const pf_real *w, pf_real r, const pf_real *dy,
                     pf_real *dx) {
    pf_real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += dy[i] * w[i] * x[i];
    pf_real along_x = r * r * sum / (pf_real)n;
    for (size_t i = 0; i < n; i++) dx[i] += r * (dy[i] * w[i] - x[i] * along_x);
}

void pf_rms_backward_weight(size_t n, const pf_real *x, pf_real r, const pf_real *dy, pf_real *dw) {
    for (size_t i = 0; i < n; i++) dw[i] += dy[i] * r * x[i];
}

void pf_rope_rotate(pf_position_kind kind, size_t pairs, const float *angles, pf_real *x,
                    bool inverse) {
    const float *cosine = angles, *sine = angles + pairs;
    size_t step = kind == PF_POSITION_ROPE_ADJACENT ? 2 : 1;
    size_t apart = kind == PF_POSITION_ROPE_ADJACENT ? 1 : pairs;
    for (size_t i = 0; i < pairs; i++) {
        pf_real *a = x + i * step, *b = a + apart, x0 = *a, x1 = *b;
        pf_real c = cosine[i], s = inverse ? -sine[i] : sine[i];
        *a = x0 * c - x1 * s;
        *b = x0 * s + x1 * c;
    }
}

/* e_i = exp(-g_i), bounded so that it stays finite */
static void exp_minus(size_t n, const pf_real *g, pf_real *e) {
    for (size_t i = 0; i < n; i++) e[i] = g[i] > -80 ? -g[i] : 80;
    pf_real_exp_sum(e, e, 0, n);
}

void pf_swiglu_forward(size_t n, const pf_real *g, const pf_real *u, pf_real *y, pf_real *scratch) {
    exp_minus(n, g, scratch);
    for (size_t i = 0; i < n; i++) y[i] = g[i] / (1 + scratch[i]) * u[i];
}

void pf_swiglu_backward(size_t n, const pf_real *g, const pf_real *u, const pf_real *dy,
                        pf_real *dg, pf_real *du, pf_real *y, pf_real *scratch) {
    exp_minus(n, g, scratch);
    for (size_t i = 0; i < n; i++) {
        pf_real s = 1 / (1 + scratch[i]), silu = g[i] * s;
        y[i] = silu * u[i];
        du[i] = dy[i] * silu;
        dg[i] = dy[i] * u[i] * s * (1 + g[i] * (1 - s));
    }
}

pf_real pf_cross_entropy(size_t n, pf_real *logits, size_t target, pf_real weight) {
    pf_real max = pf_real_max(logits, n), at_target = logits[target];
    pf_real sum = pf_real_exp_sum(logits, logits, max, n);
    pf_real_scale(logits, weight / sum, n);
    logits[target] -= weight;
    return log(sum) + max - at_target;
}

/* The differences of logits are added up rather than the logits, whose sums would round more. */
pf_real pf_divergence(size_t n, pf_real *teacher, pf_real *logits, pf_real weight,
                      pf_real *scratch) {
    pf_real max_p = pf_real_max(teacher, n), max_q = pf_real_max(logits, n);
    pf_real sum_p = pf_real_exp_sum(scratch, teacher, max_p, n);
    for (size_t i = 0; i < n; i++) teacher[i] = (teacher[i] - max_p) - (logits[i] - max_q);
    pf_real mean = pf_real_dot(scratch, teacher, n) / sum_p;
    pf_real sum_q = pf_real_exp_sum(logits, logits, max_q, n);
    pf_real_scale(logits, weight / sum_q, n);
    pf_real_axpy(logits, -weight / sum_p, scratch, n);
    return mean + log(sum_q / sum_p);
}
