/* floor 2.6 - train favor: the keys that stay exact, sinks and window, beside the tail; derivative.
 */
#include "train_favor_state.h"

#include <tgmath.h>

static const pf_real UNSEEN = (pf_real)-1e30f;

/* Keys that a chunk's queries may see exactly, in one matrix [rows, n]: first sinks that are before
 * the window of all of them, then the keys from the first query's window on. */
typedef struct segment {
    size_t key, n, column;
} segment;

typedef struct exact_keys {
    segment part[2]; /* sinks; window */
    size_t n;
} exact_keys;

static exact_keys find_keys(const pf_favor_sweep *w, size_t first, size_t rows) {
    size_t S = w->t->sinks, from = first + 1 > w->t->window ? first + 1 - w->t->window : 0;
    size_t sinks = S < from ? S : from;
    if (w->t->window == 0) from = first; /* the diagonal block, for sinks that begin in it */
    if (sinks > from) sinks = from;
    exact_keys keys = {{{0, sinks, 0}, {from, first + rows - from, sinks}}, 0};
    keys.n = sinks + keys.part[1].n;
    return keys;
}

static bool sees(const pf_favor_sweep *w, size_t query, size_t key) {
    return key <= query && (key + w->t->window > query || key < w->t->sinks);
}

/* w->exact [rows, keys.n] = scale q.k of what is seen, else UNSEEN */
static void score(const pf_favor_sweep *w, const exact_keys *keys, const pf_real *q, size_t first,
                  size_t rows) {
    const pf_head_rows *in = &w->t->in;
    pf_real scale = w->t->map.root_scale * w->t->map.root_scale;
    for (size_t p = 0; p < 2; p++) {
        const segment *s = &keys->part[p];
        pf_real_gemm(false, true, rows, s->n, w->D, scale, q, in->stride,
                     in->k + s->key * in->stride, in->stride, 0, w->exact + s->column, keys->n);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < s->n; j++)
                if (!sees(w, first + i, s->key + j)) w->exact[i * keys->n + s->column + j] = UNSEEN;
    }
}

/* The features' constant factor of a pair, 1 / M, which matters beside exact keys; elu and the
 * fitted map have none. */
static pf_real log_factor(const pf_favor_sweep *w) {
    pf_map_kind kind = w->t->map.kind;
    return kind == PF_MAP_ELU || kind == PF_MAP_NORMALIZED || w->M == 0 ? 0 : -log((pf_real)w->M);
}

/* w->exact becomes exp(score - m_i), with m_i the largest of the row's scores and of the tail's
 * log-scale; w->tail = exp(log-scale of the tail - m_i). sums [rows, E]: adds the weights to the
 * last number of each row, if not NULL. */
static void weigh(const pf_favor_sweep *w, const exact_keys *keys, size_t first, size_t rows,
                  pf_real *sums) {
    for (size_t i = 0; i < rows; i++) {
        pf_real *row = w->exact + i * keys->n;
        pf_real tail = w->s_q[first + i] + w->c[first + i] + log_factor(w);
        pf_real max = pf_real_max(row, keys->n);
        if (tail > max) max = tail;
        w->tail[i] = exp(tail - max);
        pf_real sum = pf_real_exp_sum(row, row, max, keys->n);
        if (!sums) continue;
        pf_real_scale(sums + i * w->E, w->tail[i], w->E);
        sums[i * w->E + w->D] += sum;
    }
}

static const pf_real *query_rows(const pf_favor_sweep *w, size_t g, size_t first) {
    return w->t->in.q + g * w->D + first * w->t->in.stride;
}

void pf_favor_add_exact(const pf_favor_sweep *w, size_t g, size_t first, size_t rows) {
    const pf_head_rows *in = &w->t->in;
    exact_keys keys = find_keys(w, first, rows);
    score(w, &keys, query_rows(w, g, first), first, rows);
    weigh(w, &keys, first, rows, w->rows);
    for (size_t p = 0; p < 2; p++) {
        const segment *s = &keys.part[p];
        if (s->n > 0)
            pf_real_gemm(false, false, rows, w->D, s->n, 1, w->exact + s->column, keys.n,
                         in->v + s->key * in->stride, in->stride, 1, w->rows, w->E);
    }
}

/* d_exact = w_ij (e_j.dR_i), the gradient by the scores */
static void back_scores(const pf_favor_sweep *w, const exact_keys *keys, size_t first,
                        size_t rows) {
    const pf_head_rows *in = &w->t->in;
    const pf_real *dR = w->dR + first * w->E;
    for (size_t p = 0; p < 2; p++) {
        const segment *s = &keys->part[p];
        pf_real_gemm(false, true, rows, s->n, w->D, 1, dR, w->E, in->v + s->key * in->stride,
                     in->stride, 0, w->d_exact + s->column, keys->n);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < keys->n; j++) {
            size_t at = i * keys->n + j;
            w->d_exact[at] = w->exact[at] * (w->d_exact[at] + dR[i * w->E + w->D]);
        }
}

void pf_favor_back_exact(const pf_favor_sweep *w, size_t g, size_t first, size_t rows) {
    const pf_head_rows *in = &w->t->in, *d = &w->t->gradient;
    exact_keys keys = find_keys(w, first, rows);
    const pf_real *q = query_rows(w, g, first);
    pf_real *dq = d->q + g * w->D + first * d->stride, *dR = w->dR + first * w->E;
    pf_real scale = w->t->map.root_scale * w->t->map.root_scale;
    score(w, &keys, q, first, rows);
    weigh(w, &keys, first, rows, NULL);
    back_scores(w, &keys, first, rows);
    for (size_t p = 0; p < 2; p++) {
        const segment *s = &keys.part[p];
        if (s->n == 0) continue;
        pf_real_gemm(false, false, rows, w->D, s->n, scale, w->d_exact + s->column, keys.n,
                     in->k + s->key * in->stride, in->stride, 1, dq, d->stride);
        pf_real_gemm(true, false, s->n, w->D, rows, scale, w->d_exact + s->column, keys.n, q,
                     in->stride, 1, d->k + s->key * d->stride, d->stride);
        pf_real_gemm(true, false, s->n, w->D, rows, 1, w->exact + s->column, keys.n, dR, w->E, 1,
                     d->v + s->key * d->stride, d->stride);
    }
    for (size_t i = 0; i < rows; i++) pf_real_scale(dR + i * w->E, w->tail[i], w->E);
}
