/* floor 2.9 - calibration: chooses the windows and tails of the heads. */
#include "calibration_state.h"

#include "carve.h"
#include "head_budget.h"
#include "head_sensitivity.h"
#include "memory.h"
#include "sliding_layers.h"

/* Windows that a head may get, and numbers of features; a head may also get no features at all.
 * Larger tails are hardly ever worth their bytes. */
static const size_t WINDOWS[] = {1,  2,  4,   6,   8,   12,  16,  24,  32,  40,  48,  64,
                                 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024};
static const size_t SIZES[] = {4, 8, 16, 32, 64};
enum { N_WINDOWS = sizeof WINDOWS / sizeof WINDOWS[0], N_SIZES = sizeof SIZES / sizeof SIZES[0] };

/* Floats of a head's state: keys and values, then the tail (attention.h). */
static double state_floats(const pf_calibration_run *r, size_t window, size_t features) {
    size_t D = r->model->head_dim, exact = 2 * D * (r->options->sinks + window);
    size_t tail = features > 0 ? features * (D + 1) + 1 : 0;
    return (double)(pf_cache_line_floats(exact) + pf_cache_line_floats(tail));
}

/* Heads whose window and tail are to be chosen: all, but those of sliding layers. Writes their
 * numbers to `heads`, unless it is NULL, and the floats of the others to *sliding. */
static size_t heads_to_choose(const pf_calibration_run *r, size_t *heads, double *sliding) {
    size_t n = 0, KV = r->model->n_kv_heads;
    *sliding = 0;
    for (size_t i = 0; i < pf_calibration_heads(r); i++) {
        if (pf_layer_slides(r->model, i / KV)) {
            size_t floats = 2 * r->model->head_dim * r->model->layers[i / KV].window;
            *sliding += (double)pf_cache_line_floats(floats);
        } else {
            if (heads) heads[n] = i;
            n++;
        }
    }
    return n;
}

/* The budget: floats of state for the heads to choose. */
static double budget_floats(const pf_calibration_run *r) {
    double sliding;
    size_t n = heads_to_choose(r, NULL, &sliding);
    if (r->options->state_bytes > 0)
        return (double)r->options->state_bytes / sizeof(float) - sliding;
    return (double)n * state_floats(r, r->options->window, r->options->features);
}

/* A head's error at its current window, without a tail. */
static double error_at(const pf_calibration_run *r, size_t head) {
    size_t window = pf_calibration_window_index(r, r->result->windows[head]);
    return r->errors[head * r->n_windows + window];
}

static bool show_probe(void *context, double done) {
    const pf_calibration_run *r = context;
    const pf_calibration_options *o = r->options;
    return !o->progress || o->progress(o->context, (r->done + done * r->probe_work) / r->total);
}

/* A head's weight is what its missing tail costs, in nats [L, KV], divided by its error. Both are
 * drawn towards the layer's means, since a head with a small error tells little; if the layer's
 * heads were probed together, the layer's means are all there is. */
static void weigh_layer(pf_calibration_run *r, size_t layer, const double *nats, bool together) {
    size_t KV = r->model->n_kv_heads, first = layer * KV;
    double layer_nats = 0, layer_error = 0, own_share = together ? 0 : 1, layer_share = 0.25;
    for (size_t i = first; i < first + KV; i++) {
        layer_nats += nats[i] / (double)KV;
        layer_error += error_at(r, i) / (double)KV;
    }
    for (size_t i = first; i < first + KV; i++)
        r->weight[i] = (own_share * nats[i] + layer_share * layer_nats + 1e-9) /
                       (own_share * error_at(r, i) + layer_share * layer_error + 1e-9);
}

bool pf_calibration_weigh(pf_calibration_run *r, const pf_text_ids *texts, size_t n_texts,
                          pf_error *error) {
    enum { PROBES = 3, PROBE_TOKENS = 384 };
    size_t n = pf_calibration_heads(r), L = r->model->n_layers;
    size_t count = n_texts < PROBES ? n_texts : PROBES, tokens = 0;
    pf_text_ids probes[PROBES];
    for (size_t i = 0; i < count; i++) {
        probes[i] = texts[i * n_texts / count];
        if (probes[i].n > PROBE_TOKENS) probes[i].n = PROBE_TOKENS;
        tokens += probes[i].n;
    }
    double *nats = pf_calloc(n, sizeof *nats, "a calibration", error);
    if (!nats) return false;
    /* On average a probe computes half of the layers. Probe heads one by one only if all probes
     * together cost less than a survey. */
    pf_sensitivity_options options = {.sinks = r->options->sinks,
                                      .windows = r->result->windows,
                                      .together = n * tokens / 2 > r->w->n_rows,
                                      .n_threads = r->options->steps.n_threads,
                                      .progress = show_probe,
                                      .context = r};
    bool good = pf_head_sensitivity(r->model, probes, count, &options, nats, error);
    for (size_t layer = 0; good && layer < L; layer++)
        weigh_layer(r, layer, nats, options.together);
    r->done += r->probe_work;
    pf_free(nats);
    return good;
}

/* The features that row `size` of r->errors is for; those of all heads if tails are not chosen. */
static size_t features_of(const pf_calibration_run *r, bool tails, size_t size) {
    if (!tails) return r->options->features;
    return size > 0 ? r->sizes[size - 1] : 0;
}

bool pf_calibration_choose(pf_calibration_run *r, bool tails, pf_error *error) {
    size_t all = pf_calibration_heads(r), sizes = tails ? r->n_sizes + 1 : 1;
    size_t n_choices = sizes * r->n_windows;
    double sliding;
    size_t *heads = pf_calloc(all, sizeof *heads, "a calibration", error);
    size_t n = heads ? heads_to_choose(r, heads, &sliding) : 0;
    size_t *chosen = pf_calloc(n, sizeof *chosen, "a calibration", error);
    double *cost = pf_calloc(n_choices, sizeof *cost, "a calibration", error);
    double *errors = pf_calloc(n, n_choices * sizeof *errors, "a calibration", error);
    bool good = heads && chosen && cost && errors;
    for (size_t size = 0; good && size < sizes; size++)
        for (size_t i = 0; i < r->n_windows; i++) {
            size_t c = size * r->n_windows + i;
            cost[c] = state_floats(r, r->windows[i], features_of(r, tails, size));
            for (size_t k = 0; k < n; k++)
                errors[k * n_choices + c] =
                    r->weight[heads[k]] * r->errors[(size * all + heads[k]) * r->n_windows + i];
        }
    if (good && r->n_windows > 0) {
        pf_head_choices choices = {n, n_choices, cost, errors};
        pf_head_budget_choose(&choices, budget_floats(r), chosen);
        for (size_t i = 0; i < n; i++) {
            size_t size = chosen[i] / r->n_windows;
            r->result->windows[heads[i]] = (uint32_t)r->windows[chosen[i] % r->n_windows];
            r->result->head_features[heads[i]] = (uint32_t)features_of(r, tails, size);
        }
    }
    pf_free(heads);
    pf_free(chosen);
    pf_free(cost);
    pf_free(errors);
    return good;
}

static void list_choices(pf_calibration_run *r) {
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
        if (SIZES[i] != o->features && o->fit && o->budget && !o->same_features)
            r->sizes[r->n_sizes++] = SIZES[i];
}

static bool check_budget(const pf_calibration_run *r, pf_error *error) {
    const pf_calibration_options *o = r->options;
    double sliding, budget = budget_floats(r);
    size_t n = heads_to_choose(r, NULL, &sliding);
    if (n == 0)
        return pf_fail(error, "every layer of this model slides: its state is constant as it is, "
                              "and there is nothing to calibrate");
    double least = (double)n * state_floats(r, r->windows[0], o->fit ? 0 : o->features);
    if (!o->budget || budget >= least) return true;
    return pf_fail(error,
                   "a state of %.0f bytes is too small: %zu sinks and the smallest window in %zu "
                   "heads, and the windows of sliding layers, take %.0f",
                   (budget + sliding) * sizeof(float), o->sinks, n,
                   (least + sliding) * sizeof(float));
}

bool pf_calibration_plan(pf_calibration_run *r, pf_error *error) {
    list_choices(r);
    return check_budget(r, error);
}
