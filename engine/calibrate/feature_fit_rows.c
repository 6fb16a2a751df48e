/* floor 2.8 - feature fit: features of queries and keys, and the hybrid rows they give. */
#include "feature_fit_state.h"

#include "matmul.h"

#include <math.h>
#include <string.h>

/* features [n, M] = softmax(w.x + b) and log_scale [n] = u.x + c of the rows x of X. Rows of X and
 * of the results are `stride` apart. */
static void map_rows(const float *set, size_t M, size_t D, const float *X, size_t n, size_t stride,
                     float *U, float *features, float *log_scale) {
    const pf_kernels *kernels = pf_kernels_get();
    const float *bias = set + (M + 1) * D;
    size_t ldu = stride * (M + 1);
    pf_sgemm(false, true, n, M + 1, D, 1, X, stride * D, set, D, 0, U, ldu);
    for (size_t i = 0; i < n; i++) {
        float *u = U + i * ldu, *row = features + i * stride * M;
        kernels->axpy(u, 1, bias, M + 1);
        float sum = kernels->exp_sum(row, u, kernels->max(u, M), M);
        kernels->scale(row, 1 / sum, M);
        log_scale[i * stride] = u[M];
    }
}

void pf_fit_map_keys(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t text, size_t end) {
    const pf_kernels *kernels = pf_kernels_get();
    const pf_exact_targets *e = f->exact;
    size_t M = f->M[k], D = e->D, S = e->sinks, first = k * e->w->n_rows + e->w->first[text];
    t->k_max = -INFINITY;
    if (end <= S) return;
    map_rows(pf_fit_set(f, k, e->G), M, D, f->X_k + (first + S) * D, end - S, 1, t->U,
             t->f_k + S * M, t->scale_k + S);
    /* A row weighs key j by exp(-decay (limit - 1 - j)): exp(decay j) here, the rest in
     * pf_fit_finish_row. */
    for (size_t j = S; j < end; j++) t->scale_k[j] += (float)j * f->decay;
    t->k_max = kernels->max(t->scale_k + S, end - S);
    kernels->exp_sum(t->scale_k + S, t->scale_k + S, t->k_max, end - S);
    for (size_t j = S; j < end; j++) kernels->scale(t->f_k + j * M, t->scale_k[j], M);
}

void pf_fit_take_queries(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t text,
                         const size_t *position, size_t rows) {
    size_t floats = f->exact->G * f->exact->D,
           first = k * f->exact->w->n_rows + f->exact->w->first[text];
    for (size_t r = 0; r < rows; r++)
        memcpy(t->X + r * floats, f->X_q + (first + position[r]) * floats, floats * sizeof(float));
}

void pf_fit_map_queries(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t rows) {
    size_t M = f->M[k], D = f->exact->D, G = f->exact->G;
    for (size_t g = 0; g < G; g++)
        map_rows(pf_fit_set(f, k, g), M, D, t->X + g * D, rows, G, t->U + g * (M + 1),
                 t->f_q + g * M, t->scale_q + g);
}

pf_tail_sweep pf_fit_sweep(const pf_feature_fit *f, const pf_fit_task *t, size_t k, size_t text,
                           size_t rows) {
    const pf_exact_targets *e = f->exact;
    size_t first = e->w->first[text];
    return (pf_tail_sweep){.M = f->M[k],
                           .D = e->D,
                           .G = e->G,
                           .f_k = t->f_k,
                           .V = f->V + (k * e->w->n_rows + first) * (e->D + 1),
                           .first = e->sinks,
                           .n_keys = e->w->first[text + 1] - first,
                           .n_rows = rows,
                           .limit = t->limit,
                           .f_q = t->f_q};
}

void pf_fit_no_tail(const pf_feature_fit *f, pf_fit_task *t, size_t rows) {
    t->k_max = -INFINITY;
    memset(t->N, 0, rows * f->exact->G * (f->exact->D + 1) * sizeof *t->N);
}

void pf_fit_finish_row(const pf_feature_fit *f, pf_fit_task *t, const pf_partial *exact, size_t at,
                       size_t r) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = f->exact->D, G = f->exact->G;
    for (size_t g = 0; g < G; g++, at++) {
        size_t i = r * G + g;
        const float *N = t->N + i * (D + 1);
        bool tail = t->k_max > -INFINITY && N[D] > 0;
        float exact_scale = exact->log_scale[at], tail_scale = -INFINITY;
        if (tail) tail_scale = t->scale_q[i] + t->k_max - (float)(t->limit[r] - 1) * f->decay;
        float common = tail_scale > exact_scale ? tail_scale : exact_scale;
        float exact_weight = exact_scale > -INFINITY ? expf(exact_scale - common) : 0;
        t->weight[i] = tail ? expf(tail_scale - common) : 0;
        float den = exact_weight * exact->den[at] + t->weight[i] * N[D];
        t->inverse[i] = den > 0 ? 1 / den : 0;
        float *out = t->out + i * D;
        memset(out, 0, D * sizeof *out);
        kernels->axpy(out, exact_weight * t->inverse[i], exact->out + at * D, D);
        if (tail) kernels->axpy(out, t->weight[i] * t->inverse[i], N, D);
    }
}
