/* floor 2.12 - calibration: fits Performer attention to a pretrained softmax model. */
#include "calibration_state.h"

#include "calibration_result.h"
#include "memory.h"
#include "sliding_layers.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum {
    MEASURED_ROWS = 96, /* of each text */
    TRIAL_SHARE = 4     /* a trial's fits take 1 / TRIAL_SHARE of the steps */
};

static size_t trial_steps(const pf_calibration_options *options) {
    return options->steps.steps / TRIAL_SHARE;
}

pf_calibration_options pf_calibration_options_default(void) {
    return (pf_calibration_options){.window = 64,
                                    .features = 64,
                                    .sinks = 4,
                                    .budget = true,
                                    .budget_tokens = 8192,
                                    .recall_loss = 0.05,
                                    .fit = true,
                                    .steps = pf_fit_options_default()};
}

/* The errors of one layer [KV, n_windows]: size 0 without tails, else with tails of
 * sizes[size - 1]. */
static double *errors_of(const pf_calibration_run *r, size_t size, size_t layer) {
    return r->errors +
           (size * pf_calibration_heads(r) + layer * r->model->n_kv_heads) * r->n_windows;
}

static bool advance(pf_calibration_run *r, double work, pf_error *error) {
    const pf_calibration_options *o = r->options;
    r->done += work;
    bool go_on = !o->steps.stop || !o->steps.stop(o->steps.context);
    if (o->progress) go_on = o->progress(o->context, r->done / r->total) && go_on;
    return go_on || pf_fail(error, "interrupted");
}

/* ---- the passes ---- */

/* Takes the layer's windows and features from the result. */
static void take_sizes(pf_calibration_run *r, size_t layer) {
    size_t KV = r->model->n_kv_heads;
    for (size_t k = 0; k < KV; k++) {
        uint32_t window = r->result->windows[layer * KV + k];
        r->exact->windows[k] = window == PF_WINDOW_ALL ? SIZE_MAX : window;
        r->M[k] = r->result->head_features[layer * KV + k];
    }
}

static bool sliding_layer(pf_calibration_run *r, size_t layer, pf_error *error) {
    pf_layerwise_project(r->w, layer);
    if (!pf_sliding_layer_attend(r->w, layer, error)) return false;
    pf_layerwise_finish(r->w, layer);
    return true;
}

static bool survey_layer(pf_calibration_run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads;
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_exact_targets_walk(r->exact);
    if (!pf_calibration_closed_form(r, layer, error)) return false;
    for (size_t k = 0; k < KV; k++) r->result->heads[layer * KV + k].outside = r->exact->outside[k];
    if (r->fit) {
        memset(r->M, 0, KV * sizeof *r->M); /* nothing is fitted yet */
        if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
        pf_feature_fit_measure(r->fit, false, errors_of(r, 0, layer));
    }
    memcpy(r->w->heads, r->exact->target, r->w->n_rows * r->exact->H * r->exact->D * sizeof(float));
    pf_layerwise_finish(r->w, layer);
    return true;
}

/* Fits and measures every size of tail. sizes[0], which the options ask for, comes last: the
 * layer's output is computed with it. */
static bool trial_layer(pf_calibration_run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads;
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_exact_targets_walk(r->exact);
    for (size_t size = r->n_sizes; size > 0; size--) {
        for (size_t k = 0; k < KV; k++)
            r->M[k] = r->exact->windows[k] < r->w->longest ? r->sizes[size - 1] : 0;
        if (size == r->n_sizes) {
            if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
            pf_feature_fit_measure(r->fit, false, errors_of(r, 0, layer));
        } else {
            pf_feature_fit_start(r->fit, r->M);
        }
        pf_feature_fit_run(r->fit, trial_steps(r->options));
        pf_feature_fit_measure(r->fit, true, errors_of(r, size, layer));
    }
    pf_feature_fit_apply(r->fit, true, r->w->heads);
    pf_layerwise_finish(r->w, layer);
    return true;
}

static bool store_fit(pf_calibration_run *r, size_t layer, pf_error *error) {
    const pf_model *model = r->model;
    size_t H = model->n_heads, KV = model->n_kv_heads, D = model->head_dim, most = 0;
    for (size_t k = 0; k < KV; k++)
        if (r->M[k] > most) most = r->M[k];
    if (most == 0) return true;
    size_t set = (most + 1) * D;
    float *at = pf_calibration_alloc(r->result, (H + KV) * (most + 1) * (D + 1), error);
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

static bool fit_layer(pf_calibration_run *r, size_t layer, pf_error *error) {
    size_t KV = r->model->n_kv_heads, n = r->n_windows;
    pf_calibrated_layer *result = &r->result->layers[layer];
    pf_layerwise_project(r->w, layer);
    take_sizes(r, layer);
    pf_exact_targets_walk(r->exact);
    if (!pf_feature_fit_begin(r->fit, layer, r->M, error)) return false;
    double *without = errors_of(r, 0, layer), *with = errors_of(r, 1, layer);
    pf_feature_fit_measure(r->fit, false, without);
    result->error_window = pf_feature_fit_apply(r->fit, false, r->w->heads);
    pf_feature_fit_run(r->fit, r->options->steps.steps);
    pf_feature_fit_measure(r->fit, true, with);
    result->error_fitted = pf_feature_fit_apply(r->fit, true, r->w->heads);
    for (size_t k = 0; k < KV; k++) {
        pf_calibrated_head *head = &r->result->heads[layer * KV + k];
        size_t at = pf_calibration_window_index(r, r->exact->windows[k]);
        head->outside = r->exact->outside[k];
        head->error_same = without[k * n + r->mean_window];
        if (r->exact->windows[k] >= r->w->longest) continue; /* exact on these texts */
        head->error_window = without[k * n + at];
        head->error_fitted = with[k * n + at];
    }
    pf_layerwise_finish(r->w, layer);
    return store_fit(r, layer, error);
}

static double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* One pass over all layers; each counts as `work` units of progress. *seconds: the time it took. */
static bool all_layers(pf_calibration_run *r, const pf_text_ids *texts, double work,
                       double *seconds,
                       bool (*layer_pass)(pf_calibration_run *r, size_t layer, pf_error *error),
                       pf_error *error) {
    double start = now();
    pf_layerwise_embed(r->w, texts);
    for (size_t layer = 0; layer < r->model->n_layers; layer++) {
        bool slides = pf_layer_slides(r->model, layer);
        if (!(slides ? sliding_layer : layer_pass)(r, layer, error) || !advance(r, work, error))
            return false;
    }
    *seconds = now() - start;
    return true;
}

/* ---- all of it ---- */

static bool prepare(pf_calibration_run *r, const pf_text_ids *texts, size_t n_texts,
                    pf_error *error) {
    int n_threads = r->options->steps.n_threads;
    r->w = pf_layerwise_new(r->model, texts, n_texts, n_threads, error);
    if (!r->w) return false;
    if (!pf_calibration_plan(r, error)) return false;
    pf_measured_rows measure = {r->n_windows, r->windows, n_texts, MEASURED_ROWS};
    r->errors =
        pf_calloc(r->n_sizes + 2, pf_calibration_heads(r) * r->n_windows * sizeof *r->errors,
                  "a calibration", error);
    r->weight = pf_calloc(pf_calibration_heads(r), sizeof *r->weight, "a calibration", error);
    r->long_window =
        pf_calloc(pf_calibration_heads(r), sizeof *r->long_window, "a calibration", error);
    r->M = pf_calloc(r->model->n_kv_heads, sizeof *r->M, "a calibration", error);
    if (!r->errors || !r->weight || !r->long_window || !r->M) return false;
    for (size_t i = 0; i < pf_calibration_heads(r); i++) r->weight[i] = 1;
    r->exact = pf_exact_targets_new(r->w, r->options->sinks, &measure, n_threads, error);
    if (!r->exact) return false;
    if (!r->options->fit && !r->options->budget) return true;
    size_t most = 0;
    for (size_t i = 0; i < r->n_sizes; i++) most = r->sizes[i] > most ? r->sizes[i] : most;
    pf_fit_options steps = r->options->steps;
    if (r->options->fit) /* without decay, sums over far more keys than the fit saw drift */
        steps.forget = r->result->attention.forget = (uint32_t)(r->w->longest * 3 / 4);
    r->fit = pf_feature_fit_new(r->exact, most, &steps, error);
    return r->fit != NULL;
}

static bool calibrate(pf_calibration_run *r, const pf_text_ids *texts, pf_error *error) {
    const pf_calibration_options *o = r->options;
    double *seconds = r->result->seconds;
    double L = r->model->n_layers;
    r->probe_work = o->budget ? L : 0;
    r->recall_work = o->budget && o->n_recall > 0 ? L : 0;
    bool trial = o->fit && o->budget && !o->same_features;
    r->total = L + r->probe_work + r->recall_work + (o->fit ? 2 * L : 0) + (trial ? 3 * L : 0);
    if (!all_layers(r, texts, 1, &seconds[0], survey_layer, error)) return false;
    if (o->budget &&
        (!pf_calibration_choose(r, false, error) ||
         !pf_calibration_weigh(r, texts, r->w->n_texts, error) ||
         !pf_calibration_choose(r, false, error) || !pf_calibration_find_recall(r, error)))
        return false;
    if (!o->fit) return true;
    if (trial && (!all_layers(r, texts, 3, &seconds[1], trial_layer, error) ||
                  !pf_calibration_choose(r, true, error)))
        return false;
    return all_layers(r, texts, 2, &seconds[2], fit_layer, error);
}

static bool check(const pf_calibration_options *o, pf_error *error) {
    if (o->features > 4096)
        return pf_fail(error, "%zu features: choose at most 4096 with --features", o->features);
    if (!o->budget && o->features == 0)
        return pf_fail(error,
                       "one window for all heads and no features needs no calibration: "
                       "run the model with --attention local --window %zu",
                       o->window);
    if (!o->budget && o->state_bytes > 0)
        return pf_fail(error, "--state-bytes sets a budget, which --no-budget switches off: give "
                              "--window W and --features M");
    if (o->budget && o->window == 0)
        return pf_fail(error,
                       "a mean window of 0 leaves no budget: give --window W or --no-budget");
    return true;
}

pf_calibration *pf_calibrate(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                             const pf_calibration_options *options, pf_error *error) {
    pf_calibration_options used = *options;
    used.fit = used.fit && used.features > 0;
    pf_calibration_run r = {.model = model, .options = &used};
    bool good = check(&used, error);
    if (good) r.result = pf_calibration_new(model, &used, error);
    good = r.result && prepare(&r, texts, n_texts, error) && calibrate(&r, texts, error);
    pf_feature_fit_free(r.fit);
    pf_exact_targets_free(r.exact);
    pf_layerwise_free(r.w);
    pf_free(r.errors);
    pf_free(r.weight);
    pf_free(r.long_window);
    pf_free(r.M);
    for (size_t i = 0; good && i < pf_calibration_heads(&r); i++) {
        r.result->heads[i].window = r.result->windows[i];
        r.result->heads[i].features = r.result->head_features[i];
    }
    if (good) return r.result;
    pf_calibration_free(r.result);
    return NULL;
}
