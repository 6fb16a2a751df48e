/* floor 2.10 - calibration: chooses the windows and tails of the heads. */
#include "calibration_state.h"

#include "carve.h"
#include "head_budget.h"
#include "head_sensitivity.h"
#include "kv_cache.h"
#include "memory.h"
#include "sliding_layers.h"

/* Windows that a head may get, and numbers of features; a head may also get no features at all.
 * Larger tails are hardly ever worth their bytes. */
static const size_t WINDOWS[] = {1,  2,  4,   6,   8,   12,  16,  24,  32,  40,  48,  64,
                                 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024};
static const size_t SIZES[] = {4, 8, 16, 32, 64};
enum { N_WINDOWS = sizeof WINDOWS / sizeof WINDOWS[0], N_SIZES = sizeof SIZES / sizeof SIZES[0] };

/* Windows that only recall heads may get: at least as long as the calibration texts. */
static const size_t MORE_WINDOWS[] = {64,   96,   128,  192,  256,  384,  512,   768,  1024,
                                      1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384};
enum { N_MORE_WINDOWS = sizeof MORE_WINDOWS / sizeof MORE_WINDOWS[0] };

double pf_calibration_slot_bytes(const pf_calibration_run *r) {
    return (double)pf_kv_bytes(r->options->kv, 1, r->model->head_dim);
}

/* Bytes of a head's state: keys and values, then the tail (attention_plan.c). */
static double state_bytes(const pf_calibration_run *r, size_t window, size_t features) {
    size_t D = r->model->head_dim;
    size_t exact = pf_kv_bytes(r->options->kv, r->options->sinks + window, D);
    size_t tail = features > 0 ? features * (D + 1) + 1 : 0;
    return (double)(sizeof(float) * (pf_cache_line_floats((exact + 3) / sizeof(float)) +
                                     pf_cache_line_floats(tail)));
}

/* Sliding layers keep the windows that the model gives them. */
static bool slides(const pf_calibration_run *r, size_t head) {
    return pf_layer_slides(r->model, head / r->model->n_kv_heads);
}

static size_t sliding_heads(const pf_calibration_run *r) {
    size_t n = 0;
    for (size_t i = 0; i < pf_calibration_heads(r); i++) n += slides(r, i);
    return n;
}

static double sliding_bytes(const pf_calibration_run *r) {
    size_t bytes = 0, D = r->model->head_dim, KV = r->model->n_kv_heads;
    for (size_t i = 0; i < pf_calibration_heads(r); i++)
        bytes += pf_kv_bytes(r->options->kv, r->model->layers[i / KV].window, D);
    return (double)bytes;
}

static size_t exact_heads(const pf_calibration_run *r) {
    size_t n = 0;
    for (size_t i = 0; r->long_window && i < pf_calibration_heads(r); i++)
        n += r->long_window[i] == PF_WINDOW_ALL;
    return n;
}

/* Before it is known how many heads will be exact, their share of the bytes is not given out: the
 * windows are those that will be left. */
double pf_calibration_budget_bytes(const pf_calibration_run *r) {
    const pf_calibration_options *o = r->options;
    bool exact_later = o->keep == PF_KEEP_RECALL && o->n_recall > 0 && !r->searched;
    if (o->state_bytes > 0 && !exact_later)
        return (double)o->state_bytes - sliding_bytes(r) -
               (double)exact_heads(r) * pf_calibration_slot_bytes(r) * (double)o->budget_tokens;
    return pf_calibration_mean_bytes(r);
}

double pf_calibration_mean_bytes(const pf_calibration_run *r) {
    const pf_calibration_options *o = r->options;
    return (double)(pf_calibration_heads(r) - sliding_heads(r)) *
           state_bytes(r, o->window, o->features);
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

/* What a head can get. The first choices are the measured windows, for each size of tail; the last
 * are windows as long as the texts, which leave no error on them and have no tail. */
typedef struct choice {
    size_t window, features, measured; /* measured: row and column of r->errors; SIZE_MAX: not */
} choice;

static size_t list_of_choices(const pf_calibration_run *r, bool tails, choice *list) {
    size_t n = 0, heads = pf_calibration_heads(r);
    for (size_t size = 0; size < (tails ? r->n_sizes + 1 : 1); size++)
        for (size_t i = 0; i < r->n_windows; i++)
            list[n++] = (choice){r->windows[i], features_of(r, tails, size),
                                 size * heads * r->n_windows + i};
    for (size_t i = 0; i < r->n_more_windows; i++)
        list[n++] = (choice){r->more_windows[i], 0, SIZE_MAX};
    return n;
}

/* The cost in nats of a choice for a head. A recall head whose window is too short costs more than
 * any error, so that the budget is spent on it first; longer windows than the texts are for such
 * heads. */
static double nats_of(const pf_calibration_run *r, size_t head, const choice *c) {
    size_t least = r->long_window[head];
    double missing = c->window < least ? 1e6 * (1 - (double)c->window / (double)least) : 0;
    if (c->measured == SIZE_MAX) return least > 0 ? missing : 1e9;
    return missing + r->weight[head] * r->errors[c->measured + head * r->n_windows];
}

/* Divides the budget among the n heads `heads`. */
static bool divide(pf_calibration_run *r, const choice *list, size_t n_choices, const size_t *heads,
                   size_t n, pf_error *error) {
    size_t *chosen = pf_calloc(n, sizeof *chosen, "a calibration", error);
    double *cost = pf_calloc(n_choices, sizeof *cost, "a calibration", error);
    double *nats = pf_calloc(n, n_choices * sizeof *nats, "a calibration", error);
    bool good = chosen && cost && nats;
    for (size_t c = 0; good && c < n_choices; c++) {
        cost[c] = state_bytes(r, list[c].window, list[c].features);
        for (size_t i = 0; i < n; i++) nats[i * n_choices + c] = nats_of(r, heads[i], &list[c]);
    }
    pf_head_choices choices = {n, n_choices, cost, nats};
    if (good) pf_head_budget_choose(&choices, pf_calibration_budget_bytes(r), chosen);
    for (size_t i = 0; good && i < n; i++) {
        const choice *c = &list[chosen[i]];
        r->result->windows[heads[i]] = (uint32_t)c->window;
        r->result->head_features[heads[i]] = (uint32_t)c->features;
        double left = nats[i * n_choices + chosen[i]];
        r->result->nats += left < 1e5 ? left : 0;
    }
    pf_free(chosen);
    pf_free(cost);
    pf_free(nats);
    return good;
}

bool pf_calibration_choose(pf_calibration_run *r, bool tails, pf_error *error) {
    choice list[(PF_MOST_SIZES + 2) * PF_MOST_WINDOWS];
    size_t n_choices = list_of_choices(r, tails, list), n = 0;
    size_t *heads = pf_calloc(pf_calibration_heads(r), sizeof *heads, "a calibration", error);
    if (!heads) return false;
    r->result->nats = 0;
    for (size_t i = 0; i < pf_calibration_heads(r); i++) {
        if (slides(r, i)) continue;
        if (r->long_window[i] != PF_WINDOW_ALL) {
            heads[n++] = i;
            continue;
        }
        r->result->windows[i] = PF_WINDOW_ALL;
        r->result->head_features[i] = 0;
    }
    bool good = n_choices == 0 || n == 0 || divide(r, list, n_choices, heads, n, error);
    pf_free(heads);
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
    for (size_t i = 0; i < N_MORE_WINDOWS && o->n_recall > 0; i++)
        if (MORE_WINDOWS[i] >= r->w->longest && MORE_WINDOWS[i] <= o->budget_tokens)
            r->more_windows[r->n_more_windows++] = MORE_WINDOWS[i];
    r->sizes[r->n_sizes++] = o->features;
    for (size_t i = 0; i < N_SIZES; i++)
        if (SIZES[i] != o->features && o->fit && o->budget && !o->same_features)
            r->sizes[r->n_sizes++] = SIZES[i];
}

static bool check_budget(const pf_calibration_run *r, pf_error *error) {
    const pf_calibration_options *o = r->options;
    size_t n = pf_calibration_heads(r) - sliding_heads(r);
    if (n == 0)
        return pf_fail(error, "every layer of this model slides: its state is constant as it is, "
                              "and there is nothing to calibrate");
    double budget = pf_calibration_budget_bytes(r), sliding = sliding_bytes(r);
    double least = (double)n * state_bytes(r, r->windows[0], o->fit ? 0 : o->features);
    if (!o->budget || budget >= least) return true;
    return pf_fail(error,
                   "a state of %.0f bytes is too small: %zu sinks and the smallest window in %zu "
                   "heads, and the windows of sliding layers, take %.0f",
                   budget + sliding, o->sinks, n, least + sliding);
}

bool pf_calibration_plan(pf_calibration_run *r, pf_error *error) {
    list_choices(r);
    return check_budget(r, error);
}
