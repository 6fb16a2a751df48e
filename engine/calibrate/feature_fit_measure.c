/* floor 2.8 - feature fit: errors of the fitted heads, and their attention on all rows. */
#include "feature_fit_state.h"

#include "matmul.h"
#include "threads.h"

#include <string.h>

/* ---- many windows, some rows ---- */

typedef struct measuring {
    pf_feature_fit *fit;
    bool tails;
    double *sums; /* [texts, KV, n_windows] */
} measuring;

/* The sum over rows of |error W_o^T|^2 / |x|^2 for one KV head, whose outputs are in
 * t->out [rows, G D]. */
static double relative_error(const pf_feature_fit *f, size_t k, pf_fit_task *t, const size_t *row,
                             size_t rows) {
    const pf_exact_targets *e = f->exact;
    const pf_kernels *kernels = pf_kernels_get();
    size_t n = e->G * e->D, HD = e->H * e->D, C = e->w->model->width;
    float *product = t->dN;
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *target = e->target + row[r] * HD + k * n;
        for (size_t d = 0; d < n; d++) t->out[r * n + d] = target[d] - t->out[r * n + d];
    }
    pf_sgemm(false, false, rows, n, n, 1, t->out, n, f->gram + k * n * HD + k * n, HD, 0, product,
             n);
    for (size_t r = 0; r < rows; r++) {
        const float *x = e->w->x + row[r] * C;
        sum += (double)kernels->dot(t->out + r * n, product + r * n, n) /
               ((double)kernels->dot(x, x, C) + 1e-20);
    }
    return sum;
}

static void measure_head(const measuring *m, size_t text, size_t k, pf_fit_task *t) {
    pf_feature_fit *f = m->fit;
    const pf_exact_targets *e = f->exact;
    size_t GD = e->G * e->D, first = e->measured_first[text];
    size_t rows = e->measured_first[text + 1] - first, begin = e->w->first[text];
    const size_t *row = e->measured_row + first;
    bool tails = m->tails && f->M[k] > 0;
    if (tails) {
        size_t position[1];
        for (size_t r = 0; r < rows; r++) {
            position[0] = row[r] - begin;
            pf_fit_task one = *t;
            one.X = t->X + r * GD;
            pf_fit_take_queries(f, &one, k, text, position, 1);
        }
        pf_fit_map_keys(f, t, k, text, e->w->first[text + 1] - begin);
        pf_fit_map_queries(f, t, k, rows);
    }
    float k_max = t->k_max;
    for (size_t i = 0; i < e->measure.n_windows; i++) {
        for (size_t r = 0; r < rows; r++)
            t->limit[r] = pf_fit_limit(row[r] - begin, e->measure.windows[i]);
        pf_fit_no_tail(f, t, rows);
        if (tails) {
            t->k_max = k_max;
            pf_tail_sweep sweep = pf_fit_sweep(f, t, k, text, rows);
            pf_tail_sweep_forward(&sweep, t->N, t->S, t->scratch);
        }
        for (size_t r = 0; r < rows; r++)
            pf_fit_finish_row(f, t, &e->measured[i], (first + r) * e->H + k * e->G, r);
        m->sums[(text * e->KV + k) * e->measure.n_windows + i] = relative_error(f, k, t, row, rows);
    }
}

static void measure_share(void *context, pf_member me) {
    const measuring *m = context;
    size_t KV = m->fit->exact->KV, begin, end;
    pf_share(me, m->fit->exact->measure.n_texts * KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) measure_head(m, i / KV, i % KV, &m->fit->tasks[me.index]);
}

void pf_feature_fit_measure(pf_feature_fit *f, bool tails, double *errors) {
    const pf_exact_targets *e = f->exact;
    size_t n = e->KV * e->measure.n_windows;
    measuring m = {f, tails, f->measured};
    pf_parallel(f->options.n_threads, measure_share, &m);
    for (size_t i = 0; i < n; i++) {
        errors[i] = 0;
        for (size_t text = 0; text < e->measure.n_texts; text++)
            errors[i] += f->measured[text * n + i];
        errors[i] /= (double)e->n_measured;
    }
}

/* ---- one window, all rows ---- */

typedef struct applying {
    pf_feature_fit *fit;
    bool tails;
    float *out;
} applying;

static void apply_head(const applying *a, size_t text, size_t k, pf_fit_task *t) {
    pf_feature_fit *f = a->fit;
    const pf_exact_targets *e = f->exact;
    size_t GD = e->G * e->D, first = e->w->first[text], rows = e->w->first[text + 1] - first;
    for (size_t r = 0; r < rows; r++) t->limit[r] = pf_fit_limit(r, e->windows[k]);
    pf_fit_no_tail(f, t, rows);
    if (a->tails && f->M[k] > 0) {
        memcpy(t->X, f->X_q + (k * e->w->n_rows + first) * GD, rows * GD * sizeof(float));
        pf_fit_map_keys(f, t, k, text, rows);
        pf_fit_map_queries(f, t, k, rows);
        pf_tail_sweep sweep = pf_fit_sweep(f, t, k, text, rows);
        pf_tail_sweep_forward(&sweep, t->N, t->S, t->scratch);
    }
    for (size_t r = 0; r < rows; r++) {
        pf_fit_finish_row(f, t, &e->part, (first + r) * e->H + k * e->G, r);
        memcpy(a->out + (first + r) * e->H * e->D + k * GD, t->out + r * GD, GD * sizeof(float));
    }
}

/* Sums |error W_o^T|^2 over this member's rows, and the same of the targets, a few rows at a
 * time. */
static double apply_error(const applying *a, pf_member me, double *energy_of_targets) {
    pf_feature_fit *f = a->fit;
    const pf_exact_targets *e = f->exact;
    const pf_kernels *kernels = pf_kernels_get();
    size_t HD = e->H * e->D, begin, end, block = 16;
    double sum = 0, targets = 0;
    float *errors = f->tasks[me.index].block, *products = errors + block * HD;
    pf_share(me, e->w->n_rows, 1, &begin, &end);
    for (size_t first = begin; first < end; first += block) {
        size_t rows = end - first < block ? end - first : block;
        const float *target = e->target + first * HD, *out = a->out + first * HD;
        for (int pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < rows * HD; i++)
                errors[i] = pass == 0 ? target[i] - out[i] : target[i];
            pf_sgemm(false, false, rows, HD, HD, 1, errors, HD, f->gram, HD, 0, products, HD);
            for (size_t r = 0; r < rows; r++)
                *(pass == 0 ? &sum : &targets) +=
                    (double)kernels->dot(errors + r * HD, products + r * HD, HD);
        }
    }
    *energy_of_targets = targets;
    return sum;
}

static void apply_share(void *context, pf_member me) {
    const applying *a = context;
    pf_feature_fit *f = a->fit;
    size_t KV = f->exact->KV, begin, end;
    pf_share(me, f->exact->w->n_texts * KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) apply_head(a, i / KV, i % KV, &f->tasks[me.index]);
    pf_barrier(me);
    f->losses[2 * me.index] = apply_error(a, me, &f->losses[2 * me.index + 1]);
}

double pf_feature_fit_apply(pf_feature_fit *f, bool tails, float *out) {
    applying a = {f, tails, out};
    double sum = 0, targets = 0;
    memset(f->losses, 0, 2 * (size_t)f->options.n_threads * sizeof *f->losses);
    pf_parallel(f->options.n_threads, apply_share, &a);
    for (int i = 0; i < f->options.n_threads; i++) {
        sum += f->losses[2 * i];
        targets += f->losses[2 * i + 1];
    }
    return targets > 0 ? sum / targets : 0;
}
