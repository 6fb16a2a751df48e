/* floor 2.8 - feature fit: the steps.
 *
 * A step has four parts, each followed by a barrier. A task is one text and one KV head.
 *   forward   features of the keys and of the sampled queries, sums, outputs; f->errors
 *   products  the errors times the Gram matrix: the loss and its gradient by the outputs
 *   backward  through the division, the sums and the features to a gradient per task
 *   update    adds the tasks' gradients in order; Adam
 * The result depends on the seed. It depends on the number of threads only through the order in
 * which BLAS and the sum of the loss add.
 */
#include "feature_fit_state.h"

#include "matmul.h"
#include "threads.h"

#include <math.h>
#include <string.h>

static const float BETA1 = 0.9f, BETA2 = 0.99f, TINY = 1e-8f;

/* ---- which rows ---- */

/* Samples n of the positions [from, to), in ascending order; all of them if there are fewer. */
static size_t sample_positions(pf_rng *rng, size_t from, size_t to, size_t n, size_t *position) {
    size_t taken = 0;
    if (n > to - from) n = to - from;
    for (size_t p = from; taken < n; p++) /* Knuth, TAOCP 3.4.2, algorithm S */
        if (pf_rng_uniform(rng) * (double)(to - p) < (double)(n - taken)) position[taken++] = p;
    return taken;
}

static size_t next_text(pf_feature_fit *f) {
    size_t n = f->exact->w->n_texts;
    if (f->deck == 0) { /* shuffle (Fisher & Yates) */
        for (size_t i = n - 1; i > 0; i--) {
            size_t j = (size_t)(pf_rng_uniform(&f->rng) * (double)(i + 1)), other = f->order[i];
            f->order[i] = f->order[j];
            f->order[j] = other;
        }
        f->deck = n;
    }
    return f->order[--f->deck];
}

/* Samples only rows with a tail: the others are exact. */
static void sample(pf_feature_fit *f) {
    const pf_exact_targets *e = f->exact;
    size_t from = SIZE_MAX;
    for (size_t k = 0; k < e->KV; k++)
        if (f->M[k] > 0 && e->sinks + e->windows[k] < from) from = e->sinks + e->windows[k];
    for (size_t b = 0; b < f->options.texts; b++) {
        size_t text = next_text(f), n = e->w->first[text + 1] - e->w->first[text];
        size_t *position = f->position + b * f->options.rows;
        f->text[b] = text;
        f->n_sampled[b] =
            from < n ? sample_positions(&f->rng, from, n, f->options.rows, position) : 0;
    }
}

static size_t sampled_rows(const pf_feature_fit *f) {
    size_t rows = 0;
    for (size_t b = 0; b < f->options.texts; b++) rows += f->n_sampled[b];
    return rows;
}

/* ---- forward ---- */

static float *error_row(const pf_feature_fit *f, float *rows, size_t b, size_t r, size_t k) {
    size_t HD = f->exact->H * f->exact->D;
    return rows + (b * f->options.rows + r) * HD + k * f->exact->G * f->exact->D;
}

static void forward(pf_feature_fit *f, size_t b, size_t k) {
    const pf_exact_targets *e = f->exact;
    pf_fit_task *t = &f->tasks[b * e->KV + k];
    size_t D = e->D, G = e->G, HD = e->H * D, text = f->text[b], rows = f->n_sampled[b];
    const size_t *position = f->position + b * f->options.rows;
    if (rows == 0) return;
    for (size_t r = 0; r < rows; r++) t->limit[r] = pf_fit_limit(position[r], e->windows[k]);
    pf_fit_no_tail(f, t, rows);
    if (f->M[k] > 0) {
        pf_fit_take_queries(f, t, k, text, position, rows);
        pf_fit_map_keys(f, t, k, text, t->limit[rows - 1]);
        pf_fit_map_queries(f, t, k, rows);
        pf_tail_sweep sweep = pf_fit_sweep(f, t, k, text, rows);
        pf_tail_sweep_forward(&sweep, t->N, t->S, t->scratch);
    }
    for (size_t r = 0; r < rows; r++) {
        size_t row = e->w->first[text] + position[r];
        pf_fit_finish_row(f, t, &e->part, row * e->H + k * G, r);
        float *error = error_row(f, f->errors, b, r, k);
        const float *target = e->target + row * HD + k * G * D;
        for (size_t i = 0; i < G * D; i++) error[i] = target[i] - t->out[r * G * D + i];
    }
}

/* products = errors gram, for this member's rows; returns the sum of errors.products over them. */
static double multiply_errors(pf_feature_fit *f, pf_member me) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t HD = f->exact->H * f->exact->D;
    double loss = 0;
    for (size_t b = 0; b < f->options.texts; b++) {
        size_t begin, end;
        pf_share(me, f->n_sampled[b], 1, &begin, &end);
        float *errors = f->errors + (b * f->options.rows + begin) * HD;
        float *products = f->products + (b * f->options.rows + begin) * HD;
        pf_sgemm(false, false, end - begin, HD, HD, 1, errors, HD, f->gram, HD, 0, products, HD);
        for (size_t r = 0; r < end - begin; r++)
            loss += (double)kernels->dot(errors + r * HD, products + r * HD, HD);
    }
    return loss;
}

/* ---- backward ---- */

/* The gradient of one set from df, that of its features f [n, M] = w softmax(U). With g = f df and
 * s the sum of g over m: dU_m = g_m - softmax_m s, and s is the gradient by log w. scale [n]: w;
 * NULL: all are 1. Rows of X, U, f and df are `stride` apart. */
static void back_rows(size_t M, size_t D, const float *X, size_t n, size_t stride, const float *f,
                      const float *df, const float *scale, float *U, float *gradient) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t ldu = stride * (M + 1);
    float *bias = gradient + (M + 1) * D;
    memset(bias, 0, (M + 1) * sizeof *bias);
    for (size_t i = 0; i < n; i++) {
        const float *f_i = f + i * stride * M, *df_i = df + i * stride * M;
        float *u = U + i * ldu, sum = kernels->dot(f_i, df_i, M), share = sum;
        if (scale) share = scale[i] > 0 ? sum / scale[i] : 0;
        for (size_t m = 0; m < M; m++) u[m] = f_i[m] * (df_i[m] - share);
        u[M] = sum;
        kernels->axpy(bias, 1, u, M + 1);
    }
    pf_sgemm(true, false, M + 1, D, n, 1, U, ldu, X, stride * D, 0, gradient, D);
}

static void backward(pf_feature_fit *f, size_t b, size_t k) {
    const pf_kernels *kernels = pf_kernels_get();
    const pf_exact_targets *e = f->exact;
    pf_fit_task *t = &f->tasks[b * e->KV + k];
    size_t D = e->D, G = e->G, M = f->M[k], E = D + 1, rows = f->n_sampled[b], S = e->sinks;
    size_t set = pf_fit_set_floats(M, D);
    memset(t->gradient, 0, (G + 1) * set * sizeof(float));
    if (M == 0 || rows == 0 || t->k_max == -INFINITY) return;
    float factor = (float)(-2 / (f->energy * (double)sampled_rows(f)));
    for (size_t r = 0; r < rows; r++)
        for (size_t g = 0; g < G; g++) {
            size_t i = r * G + g;
            const float *product = error_row(f, f->products, b, r, k) + g * D;
            float *dN = t->dN + i * E, scale = factor * t->weight[i] * t->inverse[i];
            for (size_t d = 0; d < D; d++) dN[d] = scale * product[d];
            dN[D] = -kernels->dot(dN, t->out + i * D, D);
        }
    size_t text = f->text[b], end = t->limit[rows - 1];
    pf_tail_sweep sweep = pf_fit_sweep(f, t, k, text, rows);
    pf_tail_sweep_backward(&sweep, t->dN, t->S, t->df_q, t->df_k, t->scratch);
    for (size_t g = 0; g < G; g++)
        back_rows(M, D, t->X + g * D, rows, G, t->f_q + g * M, t->df_q + g * M, NULL,
                  t->U + g * (M + 1), t->gradient + g * set);
    const float *X_k = f->X_k + (k * e->w->n_rows + e->w->first[text] + S) * D;
    back_rows(M, D, X_k, end - S, 1, t->f_k + S * M, t->df_k + S * M, t->scale_k + S, t->U,
              t->gradient + G * set);
}

/* ---- update ---- */

static float rate_at(const pf_feature_fit *f) {
    size_t most = f->n_steps / 4, warm_up = f->options.warm_up < most ? f->options.warm_up : most;
    float step = (float)f->step + 1, warm = (float)warm_up, all = (float)f->n_steps;
    if (step <= warm) return f->options.rate * step / warm;
    return f->options.rate * (all - step + 1) / (all - warm + 1);
}

static void update(pf_feature_fit *f, size_t k) {
    size_t n = (f->exact->G + 1) * pf_fit_set_floats(f->M[k], f->exact->D);
    float *p = f->parameters + k * f->kv_floats, *m1 = f->moment1 + k * f->kv_floats;
    float *m2 = f->moment2 + k * f->kv_floats, *sum = f->tasks[k].gradient;
    for (size_t b = 1; b < f->options.texts; b++)
        pf_kernels_get()->axpy(sum, 1, f->tasks[b * f->exact->KV + k].gradient, n);
    if (f->fixed) return;
    float steps = (float)f->step + 1, rate = rate_at(f) / (1 - powf(BETA1, steps));
    float unbias2 = 1 / (1 - powf(BETA2, steps));
    for (size_t i = 0; i < n; i++) {
        m1[i] = BETA1 * m1[i] + (1 - BETA1) * sum[i];
        m2[i] = BETA2 * m2[i] + (1 - BETA2) * sum[i] * sum[i];
        p[i] -= rate * m1[i] / (sqrtf(m2[i] * unbias2) + TINY);
    }
}

static void run(void *context, pf_member me) {
    pf_feature_fit *f = context;
    size_t KV = f->exact->KV, n = f->options.texts * KV, begin, end;
    for (size_t step = 0; step < f->n_steps; step++) {
        if (me.index == 0) {
            f->step = step;
            f->stopped = f->options.stop && f->options.stop(f->options.context);
            if (!f->stopped) sample(f);
        }
        pf_barrier(me);
        if (f->stopped) return;
        pf_share(me, n, 1, &begin, &end);
        for (size_t i = begin; i < end; i++) forward(f, i / KV, i % KV);
        pf_barrier(me);
        f->losses[me.index] = multiply_errors(f, me);
        pf_barrier(me);
        for (size_t i = begin; i < end; i++) backward(f, i / KV, i % KV);
        pf_barrier(me);
        pf_share(me, KV, 1, &begin, &end);
        for (size_t k = begin; k < end; k++) update(f, k);
        if (me.index == 0) {
            double loss = 0;
            for (int i = 0; i < me.count; i++) loss += f->losses[i];
            size_t rows = sampled_rows(f);
            f->loss = rows > 0 ? loss / (f->energy * (double)rows) : 0;
        }
        pf_barrier(me);
    }
}

void pf_feature_fit_run(pf_feature_fit *f, size_t steps) {
    f->n_steps = steps;
    pf_parallel(f->options.n_threads, run, f);
}

/* ---- tests ---- */

float *pf_feature_fit_parameters(pf_feature_fit *f, size_t kv_head, size_t *n) {
    *n = (f->exact->G + 1) * pf_fit_set_floats(f->M[kv_head], f->exact->D);
    return f->parameters + kv_head * f->kv_floats;
}

double pf_feature_fit_loss(pf_feature_fit *f, size_t kv_head, float *gradient) {
    f->fixed = true;
    f->deck = 0;
    for (size_t i = 0; i < f->exact->w->n_texts; i++) f->order[i] = i;
    pf_rng_seed(&f->rng, f->options.seed, 1);
    pf_feature_fit_run(f, 1);
    f->fixed = false;
    size_t n = (f->exact->G + 1) * pf_fit_set_floats(f->M[kv_head], f->exact->D);
    if (gradient) memcpy(gradient, f->tasks[kv_head].gradient, n * sizeof *gradient);
    return f->loss;
}
