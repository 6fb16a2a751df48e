/* floor 2.6 - train favor: FAVOR+ of the heads that share a key, over one sequence; derivative. */
#include "train_favor_state.h"

#include <float.h>
#include <string.h>
#include <tgmath.h>

static size_t lay_out(pf_favor_sweep *w, pf_real *memory, size_t n, size_t D, size_t M,
                      size_t exact) {
    size_t E = D + 1, chunk = PF_FAVOR_CHUNK;
    pf_carve carve = {.memory = (float *)(void *)memory};
    w->f_k = pf_carve_reals(&carve, n * M);
    w->f_q = pf_carve_reals(&carve, n * M);
    w->df_k = pf_carve_reals(&carve, n * M);
    w->df_q = pf_carve_reals(&carve, n * M);
    w->e = pf_carve_reals(&carve, n * E);
    w->de = pf_carve_reals(&carve, n * E);
    w->dR = pf_carve_reals(&carve, n * E);
    w->s = pf_carve_reals(&carve, n);
    w->c = pf_carve_reals(&carve, n);
    w->s_q = pf_carve_reals(&carve, n);
    w->sum = pf_carve_reals(&carve, M * E);
    w->weights = pf_carve_reals(&carve, chunk * chunk);
    w->A = pf_carve_reals(&carve, chunk * chunk);
    w->dA = pf_carve_reals(&carve, chunk * chunk);
    w->rows = pf_carve_reals(&carve, chunk * E);
    w->exact = pf_carve_reals(&carve, exact > 0 ? chunk * (exact + chunk) : 0);
    w->d_exact = pf_carve_reals(&carve, exact > 0 ? chunk * (exact + chunk) : 0);
    w->tail = pf_carve_reals(&carve, chunk);
    return carve.used;
}

/* Sinks and window, of which a sequence of n tokens cannot have more than n. */
static size_t exact_keys(size_t n, size_t sinks, size_t window) {
    size_t w = window < n ? window : n, s = sinks < n ? sinks : n;
    return s + w;
}

size_t pf_favor_scratch(size_t n, size_t D, size_t M, size_t sinks, size_t window) {
    pf_favor_sweep w;
    return lay_out(&w, NULL, n, D, M, exact_keys(n, sinks, window)) /
           (sizeof(pf_real) / sizeof(float));
}

static const pf_real ABSENT = (pf_real)-1e30f; /* the log-scale of no key */

/* The keys' side, which all query heads share. */
static pf_favor_sweep begin(const pf_favor_task *t) {
    pf_favor_sweep w = {.t = t, .n = t->n, .D = t->map.D, .M = t->map.M, .E = t->map.D + 1};
    size_t exact = exact_keys(w.n, t->sinks, t->window), S = t->sinks, E = w.E;
    lay_out(&w, t->scratch, w.n, w.D, w.M, exact);
    w.read = t->mapped.k ? t->mapped : t->in;
    w.d_read = t->mapped.k ? t->mapped_gradient : t->gradient;
    w.absent = exact < w.n && w.M > 0 ? exact : w.n;
    memset(w.f_k, 0, w.absent * w.M * sizeof *w.f_k);
    memset(w.e, 0, w.absent * E * sizeof *w.e);
    for (size_t i = 0; i < w.absent; i++) w.s[i] = ABSENT;
    if (w.absent < w.n)
        pf_features_forward(&t->map, w.read.k + S * w.read.stride, w.read.stride, w.n - w.absent,
                            w.f_k + w.absent * w.M, w.s + w.absent);
    for (size_t i = 0; i < w.n; i++) {
        if (i >= w.absent) w.s[i] += t->decay * (pf_real)i;
        w.c[i] = i > 0 && w.c[i - 1] > w.s[i] ? w.c[i - 1] : w.s[i];
        if (i < w.absent) continue;
        memcpy(w.e + i * E, t->in.v + (i - t->window) * t->in.stride, w.D * sizeof *w.e);
        w.e[i * E + w.D] = 1;
    }
    return w;
}

static size_t chunk_rows(const pf_favor_sweep *w, size_t first) {
    return w->n - first < PF_FAVOR_CHUNK ? w->n - first : PF_FAVOR_CHUNK;
}

static const pf_train_map *query_map(const pf_favor_sweep *w, size_t g) {
    return w->t->q_map ? &w->t->q_map[g] : &w->t->map;
}

static void map_queries(const pf_favor_sweep *w, size_t g) {
    if (w->M == 0) {
        memset(w->s_q, 0, w->n * sizeof *w->s_q);
        return;
    }
    pf_features_forward(query_map(w, g), w->read.q + g * w->D, w->read.stride, w->n, w->f_q,
                        w->s_q);
    for (size_t i = 0; i < w->n; i++) w->s_q[i] -= w->t->decay * (pf_real)i;
}

static void weigh_pairs(const pf_favor_sweep *w, size_t first, size_t rows) {
    for (size_t i = 0; i < rows; i++) {
        pf_real *weights = w->weights + i * rows;
        pf_real_exp_sum(weights, w->s + first, w->c[first + i], i + 1);
        memset(weights + i + 1, 0, (rows - i - 1) * sizeof *weights);
    }
}

/* pairs [rows, rows] = x y^T times the weights, for rows of m numbers */
static void multiply_pairs(const pf_favor_sweep *w, size_t rows, const pf_real *x, const pf_real *y,
                           size_t m, pf_real *pairs) {
    pf_real_gemm(false, true, rows, rows, m, 1, x, m, y, m, 0, pairs, rows);
    for (size_t i = 0; i < rows * rows; i++) pairs[i] *= w->weights[i];
}

/* w->rows [rows, E] = source, row i times exp(a_i - b), or exp(b - a_i) if `from` */
static void scaled_rows(const pf_favor_sweep *w, size_t rows, const pf_real *source,
                        const pf_real *a, pf_real b, bool from) {
    for (size_t i = 0; i < rows; i++) {
        pf_real factor = exp(from ? b - a[i] : a[i] - b);
        for (size_t d = 0; d < w->E; d++) w->rows[i * w->E + d] = factor * source[i * w->E + d];
    }
}

/* S takes in the chunk's keys, relative to the maximum at its end. */
static void add_keys(const pf_favor_sweep *w, size_t first, size_t rows) {
    pf_real end = w->c[first + rows - 1];
    pf_real kept = first > 0 ? exp(w->c[first - 1] - end) : 0;
    scaled_rows(w, rows, w->e + first * w->E, w->s + first, end, false);
    pf_real_gemm(true, false, w->M, w->E, rows, 1, w->f_k + first * w->M, w->M, w->rows, w->E, kept,
                 w->sum, w->E);
}

/* ---- forward ---- */

/* w->rows = R of the chunk's queries */
static void read_chunk(const pf_favor_sweep *w, size_t first, size_t rows) {
    const pf_real *f_q = w->f_q + first * w->M;
    size_t E = w->E;
    if (w->M == 0) {
        memset(w->rows, 0, rows * E * sizeof *w->rows);
        return;
    }
    weigh_pairs(w, first, rows);
    multiply_pairs(w, rows, f_q, w->f_k + first * w->M, w->M, w->A);
    if (first > 0) {
        pf_real_gemm(false, false, rows, E, w->M, 1, f_q, w->M, w->sum, E, 0, w->rows, E);
        for (size_t i = 0; i < rows; i++)
            pf_real_scale(w->rows + i * E, exp(w->c[first - 1] - w->c[first + i]), E);
    }
    pf_real_gemm(false, false, rows, E, rows, 1, w->A, rows, w->e + first * E, E, first > 0,
                 w->rows, E);
}

/* A denominator that has underflowed leaves the row its own value, as in the engine. */
static void divide(const pf_favor_sweep *w, size_t g, size_t first, size_t rows) {
    const pf_favor_task *t = w->t;
    for (size_t i = 0; i < rows; i++) {
        const pf_real *R = w->rows + i * w->E, *own = t->in.v + (first + i) * t->in.stride;
        pf_real *out = t->out + (first + i) * t->out_stride + g * w->D;
        bool vanished = R[w->D] <= FLT_MIN;
        pf_real inverse = vanished ? 1 : 1 / R[w->D];
        for (size_t d = 0; d < w->D; d++) out[d] = inverse * (vanished ? own[d] : R[d]);
        t->normalizer[(first + i) * t->heads + g] = vanished ? 0 : R[w->D];
    }
}

void pf_favor_forward(const pf_favor_task *task) {
    pf_favor_sweep w = begin(task);
    for (size_t g = 0; g < task->G; g++) {
        map_queries(&w, g);
        for (size_t first = 0; first < w.n; first += PF_FAVOR_CHUNK) {
            size_t rows = chunk_rows(&w, first);
            read_chunk(&w, first, rows);
            if (pf_favor_has_exact(&w)) pf_favor_add_exact(&w, g, first, rows);
            divide(&w, g, first, rows);
            if (w.M > 0) add_keys(&w, first, rows);
        }
    }
}

/* ---- backward ---- */

/* dR [n, E]: through the division. */
static void back_division(const pf_favor_sweep *w, size_t g) {
    const pf_favor_task *t = w->t;
    for (size_t i = 0; i < w->n; i++) {
        const pf_real *out = t->out + i * t->out_stride + g * w->D;
        const pf_real *d_out = t->d_out + i * t->out_stride + g * w->D;
        pf_real *dR = w->dR + i * w->E, denominator = t->normalizer[i * t->heads + g];
        if (denominator == 0) { /* out was v */
            memset(dR, 0, w->E * sizeof *dR);
            pf_real_axpy(t->gradient.v + i * t->gradient.stride, 1, d_out, w->D);
            continue;
        }
        for (size_t d = 0; d < w->D; d++) dR[d] = d_out[d] / denominator;
        dR[w->D] = -pf_real_dot(dR, out, w->D);
    }
}

/* The pairs within a chunk, and the queries' gradients from earlier keys, through S. */
static void back_chunk(const pf_favor_sweep *w, size_t first, size_t rows) {
    size_t M = w->M, E = w->E;
    const pf_real *f_q = w->f_q + first * M, *f_k = w->f_k + first * M;
    const pf_real *dR = w->dR + first * E;
    pf_real *df_q = w->df_q + first * M;
    weigh_pairs(w, first, rows);
    multiply_pairs(w, rows, f_q, f_k, M, w->A);
    multiply_pairs(w, rows, dR, w->e + first * E, E, w->dA);
    pf_real_gemm(false, false, rows, M, rows, 1, w->dA, rows, f_k, M, 0, df_q, M);
    pf_real_gemm(true, false, rows, M, rows, 1, w->dA, rows, f_q, M, 1, w->df_k + first * M, M);
    pf_real_gemm(true, false, rows, E, rows, 1, w->A, rows, dR, E, 1, w->de + first * E, E);
    if (first == 0) return;
    scaled_rows(w, rows, dR, w->c + first, w->c[first - 1], true);
    pf_real_gemm(false, true, rows, M, E, 1, w->rows, E, w->sum, E, 1, df_q, M);
}

/* The keys' gradients from the queries after their chunk, through T. */
static void back_later(const pf_favor_sweep *w, size_t first, size_t rows) {
    size_t M = w->M, E = w->E;
    pf_real *de = w->de + first * E;
    const pf_real *s = w->s + first, end = w->c[first + rows - 1];
    scaled_rows(w, rows, w->e + first * E, s, end, false);
    pf_real_gemm(false, true, rows, M, E, 1, w->rows, E, w->sum, E, 1, w->df_k + first * M, M);
    pf_real_gemm(false, false, rows, E, M, 1, w->f_k + first * M, M, w->sum, E, 0, w->rows, E);
    for (size_t j = 0; j < rows; j++) pf_real_axpy(de + j * E, exp(s[j] - end), w->rows + j * E, E);
}

/* T takes in the chunk's queries, relative to the maximum before it. */
static void add_queries(const pf_favor_sweep *w, size_t first, size_t rows, bool is_last) {
    pf_real before = w->c[first - 1];
    pf_real kept = is_last ? 0 : exp(before - w->c[first + rows - 1]);
    scaled_rows(w, rows, w->dR + first * w->E, w->c + first, before, true);
    pf_real_gemm(true, false, w->M, w->E, rows, 1, w->f_q + first * w->M, w->M, w->rows, w->E, kept,
                 w->sum, w->E);
}

static void back_query_head(const pf_favor_sweep *w, size_t g) {
    map_queries(w, g);
    back_division(w, g);
    for (size_t first = 0; first < w->n; first += PF_FAVOR_CHUNK) {
        size_t rows = chunk_rows(w, first);
        if (pf_favor_has_exact(w)) pf_favor_back_exact(w, g, first, rows);
        if (w->M == 0) continue;
        back_chunk(w, first, rows);
        add_keys(w, first, rows);
    }
    if (w->M == 0) return;
    size_t last = (w->n - 1) / PF_FAVOR_CHUNK * PF_FAVOR_CHUNK;
    for (size_t first = last;; first -= PF_FAVOR_CHUNK) {
        size_t rows = chunk_rows(w, first);
        if (first < last) back_later(w, first, rows);
        if (first == 0) break;
        add_queries(w, first, rows, first == last);
    }
    pf_features_backward(query_map(w, g), w->read.q + g * w->D, w->read.stride, w->n, w->f_q,
                         w->df_q, w->d_read.q + g * w->D, w->d_read.stride);
}

void pf_favor_backward(const pf_favor_task *task) {
    pf_favor_sweep w = begin(task);
    memset(w.df_k, 0, w.n * w.M * sizeof *w.df_k);
    memset(w.de, 0, w.n * w.E * sizeof *w.de);
    for (size_t g = 0; g < task->G; g++) back_query_head(&w, g);
    size_t n = w.n - w.absent, stride = task->gradient.stride, at = task->sinks * stride;
    if (n == 0) return;
    pf_features_backward(&task->map, w.read.k + task->sinks * w.read.stride, w.read.stride, n,
                         w.f_k + w.absent * w.M, w.df_k + w.absent * w.M,
                         w.d_read.k + task->sinks * w.d_read.stride, w.d_read.stride);
    for (size_t j = 0; j < n; j++)
        pf_real_axpy(task->gradient.v + at + j * stride, 1, w.de + (w.absent + j) * w.E, w.D);
}
