/* floor 2.9 - calibration: Performer attention for a pretrained softmax model, from its own queries and
 * keys. */
#include "calibration.h"

#include "head_budget.h"
#include "memory.h"
#include "threads.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Windows that heads may choose from; and numbers of features, of which 0 means a window only. */
static const size_t WINDOWS[] = {1,  2,  4,   6,   8,   12,  16,  24,  32,  40,  48,  64,
                                 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024};
static const size_t SIZES[] = {16, 32, 64, 128};
enum { N_WINDOWS = sizeof WINDOWS / sizeof WINDOWS[0], N_SIZES = sizeof SIZES / sizeof SIZES[0] };
enum { MEASURED_ROWS = 96 };

typedef struct run {
    const pf_model *model;
    const pf_calibration_options *options;
    pf_calibration *result;
    pf_layerwise *w;
    pf_layer_heads *heads;
    pf_feature_fit *fit;
    size_t windows[N_WINDOWS + 1], n_windows, mean_window; /* mean_window: its place */
    size_t sizes[N_SIZES + 1], n_sizes;
    double *errors;     /* [n_sizes + 1, L, KV, n_windows]: without a tail, then by size */
    size_t *M;          /* [KV] of the layer at work */
    double done, total; /* units of work, for the progress */
} run;

pf_calibration_options pf_calibration_options_default(void) {
    return (pf_calibration_options){.window = 64,
                                    .features = 64,
                                    .sinks = 4,
                                    .budget = true,
                                    .fit = true,
                                    .steps = pf_fit_options_default()};
}

static size_t n_all(const run *r) { return (size_t)r->model->n_layers * r->model->n_kv_heads; }

/* Errors of one layer [KV, n_windows]; size 0: without a tail, else of sizes[size - 1]. */
static double *errors_of(const run *r, size_t size, size_t layer) {
    return r->errors + (size * n_all(r) + layer * r->model->n_kv_heads) * r->n_windows;
}

static bool advance(run *r, double work, pf_error *error) {
    r->done += work;
    if (!r->options->progress || r->options->progress(r->options->context, r->done / r->total))
        return true;
    return pf_fail(error, "interrupted");
}

/* ---- what it makes ---- */

/* Memory that lives as long as the result. */
static float *keep(pf_calibration *c, size_t floats, pf_error *error) {
    float **blocks = pf_realloc(c->blocks, c->n_blocks + 1, sizeof *blocks, "a calibration", error);
    if (!blocks) return NULL;
    c->blocks = blocks;
    float *block = pf_calloc(floats, sizeof *block, "a calibration", error);
    if (block) c->blocks[c->n_blocks++] = block;
    return block;
}

void pf_calibration_free(pf_calibration *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n_blocks; i++) pf_free(c->blocks[i]);
    pf_free(c->blocks);
    pf_free(c->windows);
    pf_free(c->head_features);
    pf_free(c->layers);
    pf_free(c->heads);
    pf_free(c);
}

static pf_calibration *new_result(const pf_model *model, const pf_calibration_options *options,
                                  pf_error *error) {
    pf_calibration *c = pf_calloc(1, sizeof *c, "a calibration", error);
    if (!c) return NULL;
    size_t n = (size_t)model->n_layers * model->n_kv_heads;
    c->n_layers = model->n_layers;
    c->n_kv_heads = model->n_kv_heads;
    c->windows = pf_calloc(n, sizeof *c->windows, "a calibration", error);
    c->head_features = pf_calloc(n, sizeof *c->head_features, "a calibration", error);
    c->layers = pf_calloc(model->n_layers, sizeof *c->layers, "a calibration", error);
    c->heads = pf_calloc(n, sizeof *c->heads, "a calibration", error);
    if (!c->windows || !c->head_features || !c->layers || !c->heads) {
        pf_calibration_free(c);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        c->windows[i] = (uint32_t)options->window;
        c->head_features[i] = (uint32_t)options->features;
    }
    c->tail_rope = !options->fit;
    c->per_head = options->budget;
    c->attention = pf_attention_options_default();
    c->attention.kind = PF_ATTENTION_FAVOR;
    c->attention.map = options->fit ? PF_MAP_NORMALIZED : PF_MAP_FAVOR_PP;
    c->attention.window = (uint32_t)options->window;
    c->attention.features = (uint32_t)options->features;
    c->attention.sinks = (uint32_t)options->sinks;
    c->attention.seed = options->steps.seed;
    return c;
}

/* ---- closed form ---- */

typedef struct closed_job {
    const run *r;
    size_t layer;
    pf_closed_form *forms; /* [KV] */
    float *q, *k;          /* [threads, rows G, D], [threads, rows, D] */
    bool failed;           /* written by any member, always to true */
} closed_job;

static void closed_share(void *context, pf_member me) {
    closed_job *job = context;
    const pf_layer_heads *h = job->r->heads;
    size_t begin, end, rows = h->w->n_rows, D = h->D, G = h->G;
    float scale = sqrtf(job->r->model->attention_scale);
    float *q = job->q + (size_t)me.index * rows * G * D, *k = job->k + (size_t)me.index * rows * D;
    pf_share(me, h->KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        for (size_t t = 0; t < h->w->n_texts; t++) {
            size_t first = h->w->first[t];
            for (size_t g = 0; g < G; g++)
                pf_layer_heads_queries(h, t, i * G + g, true, scale, q + (g * rows + first) * D);
            pf_layer_heads_keys(h, t, i, true, scale, k + first * D);
        }
        if (!pf_closed_form_fit(q, rows * G, k, rows, D, &job->forms[i], NULL)) job->failed = true;
    }
}

/* Of q and k after RoPE, which is what the estimators of softmax read. */
static bool fit_closed_form(run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads, D = r->model->head_dim, rows = r->w->n_rows;
    size_t threads = (size_t)r->options->steps.n_threads, floats = rows * (r->heads->G + 1) * D;
    pf_favor_weights *favor = &r->result->layers[layer].favor;
    float *at = keep(r->result, KV * (3 * D + 2 * D * D), error);
    float *scratch = pf_calloc(threads, floats * sizeof *scratch, "a calibration", error);
    pf_closed_form *forms = pf_calloc(KV, sizeof *forms, "a calibration", error);
    bool good = at && scratch && forms;
    if (good) {
        favor->q_center = at;
        favor->k_center = at + KV * D;
        favor->proposal = at + 2 * KV * D;
        favor->q_map = at + 3 * KV * D;
        favor->k_map = favor->q_map + KV * D * D;
        for (size_t k = 0; k < KV; k++)
            forms[k] = (pf_closed_form){.q_center = at + k * D,
                                        .k_center = at + (KV + k) * D,
                                        .proposal = at + (2 * KV + k) * D,
                                        .q_map = at + 3 * KV * D + k * D * D,
                                        .k_map = at + (3 + D) * KV * D + k * D * D};
        closed_job job = {r,    layer, forms, scratch, scratch + threads * rows * r->heads->G * D,
                          false};
        pf_parallel(r->options->steps.n_threads, closed_share, &job);
        if (job.failed)
            good = pf_fail(error, "queries or keys of layer %zu are no finite numbers", layer);
        for (size_t k = 0; k < KV; k++) {
            pf_calibrated_head *head = &r->result->heads[layer * KV + k];
            head->Z_before = forms[k].Z_before;
            head->Z_after = forms[k].Z_after;
            head->variance_before = forms[k].variance_before;
            head->variance_after = forms[k].variance_after;
        }
    }
    pf_free(scratch);
    pf_free(forms);
    return good;
}

/* ---- the passes ---- */

/* The windows and features of the layer at work. */
static void take_sizes(run *r, size_t layer) {
    size_t KV = r->model->n_kv_heads;
    for (size_t k = 0; k < KV; k++) {
        r->heads->windows[k] = r->result->windows[layer * KV + k];
        r->M[k] = r->result->head_features[layer * KV + k];
    }
}

static bool survey_layer(run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads;
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_layer_heads_walk(r->heads);
    if (!fit_closed_form(r, layer, error)) return false;
    for (size_t k = 0; k < KV; k++) r->result->heads[layer * KV + k].outside = r->heads->outside[k];
    if (r->fit) {
        if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
        pf_feature_fit_measure(r->fit, false, errors_of(r, 0, layer));
    }
    memcpy(r->w->heads, r->heads->target, r->w->n_rows * r->heads->H * r->heads->D * sizeof(float));
    pf_layerwise_finish(r->w, layer);
    return true;
}

/* Fits every size of tail, measures all of them, and goes on with the first, which the options ask for. */
static bool trial_layer(run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads;
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_layer_heads_walk(r->heads);
    for (size_t size = r->n_sizes; size > 0; size--) {
        for (size_t k = 0; k < KV; k++) r->M[k] = r->sizes[size - 1];
        if (size == r->n_sizes) {
            if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
            pf_feature_fit_measure(r->fit, false, errors_of(r, 0, layer));
        } else {
            pf_feature_fit_start(r->fit, r->M);
        }
        pf_feature_fit_run(r->fit, r->options->steps.steps);
        pf_feature_fit_measure(r->fit, true, errors_of(r, size, layer));
    }
    pf_feature_fit_apply(r->fit, true, r->w->heads);
    pf_layerwise_finish(r->w, layer);
    return true;
}

static bool store_fit(run *r, size_t layer, pf_error *error) {
    const pf_model *model = r->model;
    size_t H = model->n_heads, KV = model->n_kv_heads, D = model->head_dim, most = 0;
    for (size_t k = 0; k < KV; k++)
        if (r->M[k] > most) most = r->M[k];
    if (most == 0) return true;
    size_t set = (most + 1) * D;
    float *at = keep(r->result, (H + KV) * (most + 1) * (D + 1), error);
    if (!at) return false;
    float *k_weight = at + H * set, *q_bias = k_weight + KV * set;
    float *k_bias = q_bias + H * (most + 1);
    pf_feature_fit_store(r->fit, most, at, q_bias, k_weight, k_bias);
    pf_favor_weights *favor = &r->result->layers[layer].favor;
    favor->q_weight = at;
    favor->q_bias = q_bias;
    favor->k_weight = k_weight;
    favor->k_bias = k_bias;
    favor->fitted_features = (uint32_t)most;
    return true;
}

static size_t window_place(const run *r, size_t window) {
    size_t i = 0;
    while (i + 1 < r->n_windows && r->windows[i] < window) i++;
    return i;
}

static bool fit_layer(run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads, n = r->n_windows;
    pf_calibrated_layer *result = &r->result->layers[layer];
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_layer_heads_walk(r->heads);
    if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
    double *without = errors_of(r, 0, layer), *with = errors_of(r, 1, layer);
    pf_feature_fit_measure(r->fit, false, without);
    result->error_window = pf_feature_fit_apply(r->fit, false, r->w->heads);
    pf_feature_fit_run(r->fit, r->options->steps.steps);
    pf_feature_fit_measure(r->fit, true, with);
    result->error_fitted = pf_feature_fit_apply(r->fit, true, r->w->heads);
    for (size_t k = 0; k < KV; k++) {
        pf_calibrated_head *head = &r->result->heads[layer * KV + k];
        size_t place = window_place(r, r->heads->windows[k]);
        head->outside = r->heads->outside[k];
        head->error_same = without[k * n + r->mean_window];
        head->error_window = without[k * n + place];
        head->error_fitted = with[k * n + place];
    }
    pf_layerwise_finish(r->w, layer);
    return store_fit(r, layer, error);
}

static double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* One pass over all layers, each so much work; *seconds: how long it took. */
static bool all_layers(run *r, const pf_text_ids *texts, double work, double *seconds,
                       bool (*layer_pass)(run *r, size_t layer, pf_error *error), pf_error *error) {
    double start = now();
    pf_layerwise_embed(r->w, texts);
    for (size_t layer = 0; layer < r->model->n_layers; layer++)
        if (!layer_pass(r, layer, error) || !advance(r, work, error)) return false;
    *seconds = now() - start;
    return true;
}

/* ---- choosing ---- */

static double state_floats(const run *r, size_t window, size_t features) {
    double D = (double)r->model->head_dim;
    double tail = features > 0 ? (double)features * (D + 1) + 1 : 0;
    return 2 * D * (double)(r->options->sinks + window) + tail;
}

/* Floats of state for all heads. */
static double whole_budget(const run *r) {
    if (r->options->state_bytes > 0) return (double)r->options->state_bytes / sizeof(float);
    return (double)n_all(r) * state_floats(r, r->options->window, r->options->features);
}

/* Windows for all heads, with tails of `features` paid for (0: none), by the errors without tails. */
static bool choose_windows(run *r, size_t features, pf_error *error) {
    size_t n = n_all(r);
    double cost[N_WINDOWS + 1];
    size_t *chosen = pf_calloc(n, sizeof *chosen, "a calibration", error);
    if (!chosen) return false;
    for (size_t i = 0; i < r->n_windows; i++) cost[i] = state_floats(r, r->windows[i], features);
    pf_head_choices choices = {n, r->n_windows, cost, r->errors};
    pf_head_budget_choose(&choices, whole_budget(r), chosen);
    for (size_t i = 0; i < n; i++) r->result->windows[i] = (uint32_t)r->windows[chosen[i]];
    pf_free(chosen);
    return true;
}

/* Windows and tails together. */
static bool choose_both(run *r, pf_error *error) {
    size_t n = n_all(r), sizes = r->n_sizes + 1, n_choices = sizes * r->n_windows;
    size_t *chosen = pf_calloc(n, sizeof *chosen, "a calibration", error);
    double *cost = pf_calloc(n_choices, sizeof *cost, "a calibration", error);
    double *errors = pf_calloc(n, n_choices * sizeof *errors, "a calibration", error);
    bool good = chosen && cost && errors;
    for (size_t size = 0; good && size < sizes; size++)
        for (size_t i = 0; i < r->n_windows; i++) {
            size_t c = size * r->n_windows + i;
            cost[c] = state_floats(r, r->windows[i], size > 0 ? r->sizes[size - 1] : 0);
            for (size_t head = 0; head < n; head++)
                errors[head * n_choices + c] = r->errors[(size * n + head) * r->n_windows + i];
        }
    if (good && r->n_windows > 0) {
        pf_head_choices choices = {n, n_choices, cost, errors};
        pf_head_budget_choose(&choices, whole_budget(r), chosen);
        for (size_t i = 0; i < n; i++) {
            size_t size = chosen[i] / r->n_windows;
            r->result->windows[i] = (uint32_t)r->windows[chosen[i] % r->n_windows];
            r->result->head_features[i] = size > 0 ? (uint32_t)r->sizes[size - 1] : 0;
        }
    }
    pf_free(chosen);
    pf_free(cost);
    pf_free(errors);
    return good;
}

/* ---- all of it ---- */

static void plan(run *r) {
    const pf_calibration_options *o = r->options;
    bool placed = false;
    for (size_t i = 0; i < N_WINDOWS; i++) {
        if (!placed && o->window <= WINDOWS[i]) {
            placed = true;
            r->mean_window = r->n_windows;
            r->windows[r->n_windows++] = o->window;
        }
        if (WINDOWS[i] != o->window && WINDOWS[i] < r->w->longest && o->budget)
            r->windows[r->n_windows++] = WINDOWS[i];
    }
    if (!placed) {
        r->mean_window = r->n_windows;
        r->windows[r->n_windows++] = o->window;
    }
    r->sizes[r->n_sizes++] = o->features;
    for (size_t i = 0; i < N_SIZES; i++)
        if (SIZES[i] != o->features && o->budget) r->sizes[r->n_sizes++] = SIZES[i];
}

static bool check_budget(const run *r, pf_error *error) {
    const pf_calibration_options *o = r->options;
    double least = (double)n_all(r) * state_floats(r, r->windows[0], o->fit ? 0 : o->features);
    if (!o->budget || whole_budget(r) >= least) return true;
    return pf_fail(error,
                   "a state of %.0f bytes is too small: %zu sinks and the smallest window of %zu "
                   "heads take %.0f",
                   whole_budget(r) * sizeof(float), o->sinks, n_all(r), least * sizeof(float));
}

static bool prepare(run *r, const pf_text_ids *texts, size_t n_texts, pf_error *error) {
    int n_threads = r->options->steps.n_threads;
    r->w = pf_layerwise_new(r->model, texts, n_texts, n_threads, error);
    if (!r->w) return false;
    plan(r);
    if (!check_budget(r, error)) return false;
    pf_measured_rows measure = {r->n_windows, r->windows, n_texts, MEASURED_ROWS};
    r->errors = pf_calloc(r->n_sizes + 2, n_all(r) * r->n_windows * sizeof *r->errors,
                          "a calibration", error);
    r->M = pf_calloc(r->model->n_kv_heads, sizeof *r->M, "a calibration", error);
    if (!r->errors || !r->M) return false;
    r->heads = pf_layer_heads_new(r->w, r->options->sinks, &measure, n_threads, error);
    if (!r->heads) return false;
    if (!r->options->fit && !r->options->budget) return true;
    size_t most = 0;
    for (size_t i = 0; i < r->n_sizes; i++) most = r->sizes[i] > most ? r->sizes[i] : most;
    r->fit = pf_feature_fit_new(r->heads, most, &r->options->steps, error);
    return r->fit != NULL;
}

static bool calibrate(run *r, const pf_text_ids *texts, pf_error *error) {
    const pf_calibration_options *o = r->options;
    double *seconds = r->result->seconds;
    r->total = r->model->n_layers * (1 + (o->fit ? 2.0 : 0) + (o->fit && o->budget ? 5.0 : 0));
    if (!all_layers(r, texts, 1, &seconds[0], survey_layer, error)) return false;
    if (o->budget && !choose_windows(r, o->features, error)) return false;
    if (!o->fit) return true;
    if (o->budget &&
        (!all_layers(r, texts, 5, &seconds[1], trial_layer, error) || !choose_both(r, error)))
        return false;
    return all_layers(r, texts, 2, &seconds[2], fit_layer, error);
}

static bool check(const pf_calibration_options *o, pf_error *error) {
    if (o->features == 0 || o->features > 4096)
        return pf_fail(error, "%zu features: choose 1 to 4096 with --features", o->features);
    if (!o->budget && o->state_bytes > 0)
        return pf_fail(error, "--state-bytes is a budget, which --no-budget switches off: give "
                              "--window W and --features M");
    if (o->budget && o->window == 0)
        return pf_fail(error,
                       "a mean window of 0 leaves no budget: give --window W, or --no-budget");
    if (o->steps.steps <= o->steps.warm_up)
        return pf_fail(error, "%zu steps are no more than the warm-up; give at least --steps %zu",
                       o->steps.steps, o->steps.warm_up + 1);
    return true;
}

pf_calibration *pf_calibrate(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                             const pf_calibration_options *options, pf_error *error) {
    run r = {.model = model, .options = options};
    bool good = check(options, error);
    if (good) r.result = new_result(model, options, error);
    good = r.result && prepare(&r, texts, n_texts, error) && calibrate(&r, texts, error);
    pf_feature_fit_free(r.fit);
    pf_layer_heads_free(r.heads);
    pf_layerwise_free(r.w);
    pf_free(r.errors);
    pf_free(r.M);
    for (size_t i = 0; good && i < n_all(&r); i++) {
        r.result->heads[i].window = r.result->windows[i];
        r.result->heads[i].features = r.result->head_features[i];
    }
    if (good) return r.result;
    pf_calibration_free(r.result);
    return NULL;
}
