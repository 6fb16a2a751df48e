/* floor 2.8 - feature fit: memory, and how a layer's fit begins and ends. */
#include "feature_fit_state.h"

#include "carve.h"
#include "matmul.h"
#include "memory.h"
#include "projection.h"
#include "random_features.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

pf_fit_options pf_fit_options_default(void) {
    return (pf_fit_options){.steps = 900,
                            .warm_up = 20,
                            .texts = 2,
                            .rows = 128,
                            .rate = 0.05f,
                            .seed = 1,
                            .n_threads = pf_threads_default()};
}

/* ---- memory ---- */

/* Carves a task's arrays from memory; returns how many floats they take. NULL: only counts. */
static size_t lay_out(pf_fit_task *t, float *memory, const pf_exact_targets *e, size_t M) {
    size_t R = e->w->longest, G = e->G, D = e->D;
    pf_carve carve = {.memory = memory};
    t->X = pf_carve_floats(&carve, R * G * D);
    t->U = pf_carve_floats(&carve, R * G * (M + 1));
    t->f_q = pf_carve_floats(&carve, R * G * M);
    t->df_q = pf_carve_floats(&carve, R * G * M);
    t->f_k = pf_carve_floats(&carve, R * M);
    t->df_k = pf_carve_floats(&carve, R * M);
    t->scale_q = pf_carve_floats(&carve, R * G);
    t->scale_k = pf_carve_floats(&carve, R);
    t->weight = pf_carve_floats(&carve, R * G);
    t->inverse = pf_carve_floats(&carve, R * G);
    t->N = pf_carve_floats(&carve, R * G * (D + 1));
    t->dN = pf_carve_floats(&carve, R * G * (D + 1));
    t->out = pf_carve_floats(&carve, R * G * D);
    t->S = pf_carve_floats(&carve, pf_tail_sweep_sums(R, M, D));
    t->scratch = pf_carve_floats(&carve, pf_tail_sweep_scratch(G, M, D));
    t->block = pf_carve_floats(&carve, 32 * e->H * D);
    t->gradient = pf_carve_floats(&carve, (G + 1) * pf_fit_set_floats(M, D));
    return carve.used;
}

static bool allocate_tasks(pf_feature_fit *f, pf_error *error) {
    const char *what = "the fit of features (give fewer features or shorter texts)";
    pf_fit_task counted;
    size_t floats = lay_out(&counted, NULL, f->exact, f->max_M), longest = f->exact->w->longest;
    f->n_tasks = f->options.texts * f->exact->KV;
    if (f->n_tasks < (size_t)f->options.n_threads) f->n_tasks = (size_t)f->options.n_threads;
    f->tasks = pf_calloc(f->n_tasks, sizeof *f->tasks, what, error);
    f->task_memory = pf_calloc(f->n_tasks, floats * sizeof(float), what, error);
    f->limits = pf_calloc(f->n_tasks, longest * sizeof *f->limits, what, error);
    if (!f->tasks || !f->task_memory || !f->limits) return false;
    for (size_t i = 0; i < f->n_tasks; i++) {
        lay_out(&f->tasks[i], f->task_memory + i * floats, f->exact, f->max_M);
        f->tasks[i].limit = f->limits + i * longest;
    }
    return true;
}

static bool allocate(pf_feature_fit *f, pf_error *error) {
    const char *what = "the fit of features (give fewer texts)";
    const pf_exact_targets *e = f->exact;
    size_t rows = e->w->n_rows, KV = e->KV, D = e->D, HD = e->H * D;
    size_t sampled = f->options.texts * f->options.rows;
    f->M = pf_calloc(KV, sizeof *f->M, what, error);
    f->X_q = pf_calloc(rows, HD * sizeof(float), what, error);
    f->X_k = pf_calloc(rows, KV * D * sizeof(float), what, error);
    f->V = pf_calloc(rows, KV * (D + 1) * sizeof(float), what, error);
    f->output = pf_calloc(e->w->model->width, HD * sizeof(float), what, error);
    f->gram = pf_calloc(HD, HD * sizeof(float), what, error);
    f->balanced = pf_calloc(KV, sizeof *f->balanced, what, error);
    f->closed_memory = pf_calloc(KV, (3 * D + 2 * D * D) * sizeof(float), what, error);
    f->parameters = pf_calloc(KV, 3 * f->kv_floats * sizeof(float), what, error);
    f->order = pf_calloc(e->w->n_texts, sizeof *f->order, what, error);
    f->text = pf_calloc(f->options.texts, sizeof *f->text, what, error);
    f->n_sampled = pf_calloc(f->options.texts, sizeof *f->n_sampled, what, error);
    f->position = pf_calloc(sampled, sizeof *f->position, what, error);
    f->errors = pf_calloc(sampled, HD * sizeof(float), what, error);
    f->products = pf_calloc(sampled, HD * sizeof(float), what, error);
    f->losses = pf_calloc((size_t)f->options.n_threads, 2 * sizeof *f->losses, what, error);
    f->measured =
        pf_calloc(e->measure.n_texts * KV, e->measure.n_windows * sizeof *f->measured, what, error);
    f->draw = pf_calloc(D, D * sizeof *f->draw, what, error);
    if (!f->draw || !f->measured || !f->M || !f->X_q || !f->X_k || !f->V || !f->output ||
        !f->gram || !f->balanced || !f->closed_memory || !f->parameters || !f->order || !f->text ||
        !f->n_sampled || !f->position || !f->errors || !f->products || !f->losses)
        return false;
    f->moment1 = f->parameters + KV * f->kv_floats;
    f->moment2 = f->moment1 + KV * f->kv_floats;
    for (size_t k = 0; k < KV; k++) {
        float *at = f->closed_memory + k * (3 * D + 2 * D * D);
        f->balanced[k] = (pf_closed_form){.q_center = at,
                                          .k_center = at + D,
                                          .proposal = at + 2 * D,
                                          .q_map = at + 3 * D,
                                          .k_map = at + 3 * D + D * D};
    }
    return allocate_tasks(f, error);
}

pf_feature_fit *pf_feature_fit_new(const pf_exact_targets *targets, size_t max_M,
                                   const pf_fit_options *options, pf_error *error) {
    pf_feature_fit *f = pf_calloc(1, sizeof *f, "the fit of features", error);
    if (!f) return NULL;
    f->exact = targets;
    f->options = *options;
    f->decay = options->forget > 1 ? -log1pf(-1 / (float)options->forget) : 0;
    if (f->options.texts > targets->w->n_texts) f->options.texts = targets->w->n_texts;
    f->max_M = max_M > 0 ? max_M : 1;
    f->set_floats = pf_fit_set_floats(f->max_M, targets->D);
    f->kv_floats = (targets->G + 1) * f->set_floats;
    if (allocate(f, error)) return f;
    pf_feature_fit_free(f);
    return NULL;
}

void pf_feature_fit_free(pf_feature_fit *f) {
    if (!f) return;
    pf_free(f->M);
    pf_free(f->X_q);
    pf_free(f->X_k);
    pf_free(f->V);
    pf_free(f->output);
    pf_free(f->gram);
    pf_free(f->balanced);
    pf_free(f->closed_memory);
    pf_free(f->parameters);
    pf_free(f->tasks);
    pf_free(f->task_memory);
    pf_free(f->limits);
    pf_free(f->order);
    pf_free(f->text);
    pf_free(f->n_sampled);
    pf_free(f->position);
    pf_free(f->errors);
    pf_free(f->products);
    pf_free(f->losses);
    pf_free(f->draw);
    pf_free(f->measured);
    pf_free(f);
}

/* ---- a layer ---- */

/* The queries and keys of KV head k before RoPE, scaled, and its values, each followed by a one. */
static void gather(pf_feature_fit *f, size_t k) {
    const pf_exact_targets *e = f->exact;
    size_t D = e->D, G = e->G, rows = e->w->n_rows;
    float scale = sqrtf(e->w->model->attention_scale);
    float *X_q = f->X_q + k * rows * G * D, *X_k = f->X_k + k * rows * D;
    float *V = f->V + k * rows * (D + 1);
    for (size_t r = 0; r < rows; r++) {
        const float *q = e->w->q + r * e->H * D + k * G * D;
        const float *key = e->w->k + r * e->KV * D + k * D;
        for (size_t i = 0; i < G * D; i++) X_q[r * G * D + i] = q[i] * scale;
        for (size_t d = 0; d < D; d++) X_k[r * D + d] = key[d] * scale;
        memcpy(V + r * (D + 1), e->w->v + r * e->KV * D + k * D, D * sizeof *V);
        V[r * (D + 1) + D] = 1;
    }
}

/* X [n, D] = (X - center) map^T, block by block. */
static void transform(float *X, size_t n, size_t D, const float *center, const float *map,
                      float *block, size_t block_rows) {
    for (size_t first = 0; first < n; first += block_rows) {
        size_t rows = n - first < block_rows ? n - first : block_rows;
        for (size_t i = 0; i < rows * D; i++) block[i] = X[first * D + i] - center[i % D];
        pf_sgemm(false, true, rows, D, D, 1, block, D, map, D, 0, X + first * D, D);
    }
}

typedef struct balance_job {
    pf_feature_fit *fit;
    const size_t *M;
    atomic_bool failed;
    pf_error why; /* the first failure */
} balance_job;

static void balance_share(void *context, pf_member me) {
    balance_job *job = context;
    pf_feature_fit *f = job->fit;
    const pf_exact_targets *e = f->exact;
    size_t begin, end, rows = e->w->n_rows, D = e->D;
    pf_share(me, e->KV, 1, &begin, &end);
    float *block = f->tasks[me.index].X;
    for (size_t k = begin; k < end; k++) {
        float *X_q = f->X_q + k * rows * e->G * D, *X_k = f->X_k + k * rows * D;
        pf_closed_form *c = &f->balanced[k];
        if (job->M[k] == 0) continue;
        gather(f, k);
        pf_error why;
        if (!pf_closed_form_fit(X_q, rows * e->G, X_k, rows, D, c, &why)) {
            if (!atomic_exchange(&job->failed, true)) job->why = why;
            continue;
        }
        transform(X_q, rows * e->G, D, c->q_center, c->q_map, block, e->w->longest);
        transform(X_k, rows, D, c->k_center, c->k_map, block, e->w->longest);
    }
}

/* gram = W_o^T W_o, and the energy of the exact outputs. */
static void measure_output(pf_feature_fit *f) {
    const pf_exact_targets *e = f->exact;
    const pf_kernels *kernels = pf_kernels_get();
    pf_matrix W = e->w->model->layers[f->layer].output.weight;
    size_t HD = e->H * e->D, C = W.rows, row_bytes = pf_row_bytes(W.type, W.cols);
    for (size_t r = 0; r < C; r++)
        kernels->dequantize_row(W.type, (const char *)W.data + r * row_bytes, f->output + r * HD,
                                HD);
    pf_sgemm(true, false, HD, HD, C, 1, f->output, HD, f->output, HD, 0, f->gram, HD);
    size_t most = f->options.texts * f->options.rows, rows = e->w->n_rows;
    size_t n = rows < most ? rows : most;
    double energy = 0;
    for (size_t i = 0; i < n; i++)
        memcpy(f->errors + i * HD, e->target + i * rows / n * HD, HD * sizeof(float));
    pf_sgemm(false, false, n, HD, HD, 1, f->errors, HD, f->gram, HD, 0, f->products, HD);
    for (size_t i = 0; i < n * HD; i++) energy += (double)f->errors[i] * (double)f->products[i];
    f->energy = energy > 0 ? energy / (double)n : 1;
}

/* Starts from random directions and the exact factors exp(a.(k-b)) and exp(q.b). log M makes up
 * for the normalisation on both sides. In the balanced space these factors are
 * a.(k-b) = (A_q a).k' and q.b = (A_k b).q' + a.b. */
static void start_head(pf_feature_fit *f, size_t k, double *scratch) {
    size_t D = f->exact->D, M = f->M[k];
    const pf_closed_form *c = &f->balanced[k];
    pf_rng rng;
    pf_rng_seed(&rng, f->options.seed, (uint64_t)f->layer << 32 | k);
    float *keys = pf_fit_set(f, k, f->exact->G), *key_bias = keys + (M + 1) * D;
    pf_projection_draw(&rng, PF_PROJECTION_ORTHOGONAL, M, D, keys, scratch);
    memset(key_bias, 0, (M + 1) * sizeof *key_bias);
    float ab = 0;
    for (size_t i = 0; i < D; i++) {
        ab += c->q_center[i] * c->k_center[i];
        keys[M * D + i] = 0;
        for (size_t j = 0; j < D; j++) keys[M * D + i] += c->q_map[i * D + j] * c->q_center[j];
    }
    key_bias[M] = logf((float)M);
    for (size_t g = 0; g < f->exact->G; g++) {
        float *queries = pf_fit_set(f, k, g);
        memcpy(queries, keys, pf_fit_set_floats(M, D) * sizeof *queries);
        for (size_t i = 0; i < D; i++) {
            queries[M * D + i] = 0;
            for (size_t j = 0; j < D; j++)
                queries[M * D + i] += c->k_map[i * D + j] * c->k_center[j];
        }
        queries[(M + 1) * D + M] = ab;
    }
}

void pf_feature_fit_start(pf_feature_fit *f, const size_t *M) {
    const pf_exact_targets *e = f->exact;
    size_t KV = e->KV;
    memcpy(f->M, M, KV * sizeof *M);
    memset(f->parameters, 0, 3 * KV * f->kv_floats * sizeof(float));
    for (size_t k = 0; k < KV; k++)
        if (M[k] > 0) start_head(f, k, f->draw);
    f->step = 0;
    f->deck = 0;
    for (size_t i = 0; i < e->w->n_texts; i++) f->order[i] = i;
    pf_rng_seed(&f->rng, f->options.seed, UINT64_C(0xF17) << 40 | f->layer);
}

bool pf_feature_fit_begin(pf_feature_fit *f, size_t layer, const size_t *M, pf_error *error) {
    f->layer = layer;
    balance_job job = {.fit = f, .M = M};
    pf_parallel(f->options.n_threads, balance_share, &job);
    if (job.failed) return pf_fail(error, "layer %zu: %s", layer, job.why.message);
    measure_output(f);
    pf_feature_fit_start(f, M);
    return true;
}

/* Folds balancing into a set, so that it takes x instead of x': w.x' = (map^T w).(x - center). */
static void store_set(const float *set, size_t M, size_t D, const float *center, const float *map,
                      float *weight, float *bias, size_t most) {
    for (size_t r = 0; r <= M; r++) {
        size_t to = r < M ? r : most;
        double constant = (double)set[(M + 1) * D + r];
        for (size_t j = 0; j < D; j++) {
            double sum = 0;
            for (size_t i = 0; i < D; i++) sum += (double)set[r * D + i] * (double)map[i * D + j];
            weight[to * D + j] = (float)sum;
            constant -= sum * (double)center[j];
        }
        bias[to] = (float)constant;
    }
}

void pf_feature_fit_store(const pf_feature_fit *f, size_t most, float *q_weight, float *q_bias,
                          float *k_weight, float *k_bias) {
    size_t D = f->exact->D, G = f->exact->G, rows = most + 1;
    for (size_t k = 0; k < f->exact->KV; k++) {
        const pf_closed_form *c = &f->balanced[k];
        if (f->M[k] == 0) continue;
        for (size_t g = 0; g < G; g++)
            store_set(pf_fit_set(f, k, g), f->M[k], D, c->q_center, c->q_map,
                      q_weight + (k * G + g) * rows * D, q_bias + (k * G + g) * rows, most);
        store_set(pf_fit_set(f, k, G), f->M[k], D, c->k_center, c->k_map, k_weight + k * rows * D,
                  k_bias + k * rows, most);
    }
}
