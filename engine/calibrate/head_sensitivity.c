/* floor 2.7 - head sensitivity: how much an error of one KV head changes the predictions. */
#include "head_sensitivity.h"

#include "memory.h"
#include "probability.h"
#include "sliding_layers.h"
#include "threads.h"

#include <string.h>

enum { ROW_STEP = 4 }; /* predictions are compared at every 4th row */

typedef struct probe {
    const pf_model *model;
    const pf_sensitivity_options *options;
    pf_layerwise *w;
    pf_exact_targets *exact;
    float *inputs; /* [L, n_rows, C] the exact residual stream before each layer */
    size_t *row;   /* [n_predicted] the rows compared */
    size_t n_predicted;
    float *reference, *logits; /* [n_predicted, V] exact; of the probe */
    float *weights;            /* [n_threads, V] scratch */
    double *kl;                /* [n_predicted] */
} probe;

static size_t stream_floats(const probe *p) { return p->w->n_rows * p->model->width; }

/* Copies the current layer's exact attention to w->heads. */
static void attend_exactly(const probe *p) {
    memcpy(p->w->heads, p->exact->target, p->w->n_rows * p->exact->H * p->exact->D * sizeof(float));
}

static void set_windows(const probe *p, const uint32_t *windows) {
    for (size_t k = 0; k < p->exact->KV; k++)
        p->exact->windows[k] = windows ? windows[k] : p->w->longest;
}

static bool exact_layer(const probe *p, size_t layer, pf_error *error) {
    pf_layerwise_project(p->w, layer);
    if (pf_layer_slides(p->model, layer)) {
        if (!pf_sliding_layer_attend(p->w, layer, error)) return false;
    } else {
        set_windows(p, NULL);
        pf_exact_targets_walk(p->exact);
        attend_exactly(p);
    }
    pf_layerwise_finish(p->w, layer);
    return true;
}

/* Reduces KV heads [first, first + n) of w->heads to their sinks and windows. */
static void drop_tails(const probe *p, size_t first, size_t n) {
    const pf_exact_targets *e = p->exact;
    for (size_t r = 0; r < p->w->n_rows; r++)
        for (size_t head = first * e->G; head < (first + n) * e->G; head++) {
            size_t at = r * e->H + head;
            float den = e->part.den[at];
            for (size_t d = 0; den > 0 && d < e->D; d++)
                p->w->heads[at * e->D + d] = e->part.out[at * e->D + d] / den;
        }
}

/* ---- divergence ---- */

static void divergence_share(void *context, pf_member me) {
    const probe *p = context;
    size_t begin, end, V = p->model->n_vocab;
    pf_share(me, p->n_predicted, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        pf_softmax exact =
            pf_softmax_of(p->reference + i * V, V, p->weights + (size_t)me.index * V);
        pf_softmax approximated = pf_softmax_of(p->logits + i * V, V, NULL);
        p->kl[i] = pf_kl_divergence(&exact, &approximated);
    }
}

/* ---- the probe ---- */

/* *kl = the mean divergence if n KV heads of a layer lose their tails. */
static bool probe_heads(probe *p, size_t layer, size_t first, size_t n, double *kl,
                        pf_error *error) {
    memcpy(p->w->x, p->inputs + layer * stream_floats(p), stream_floats(p) * sizeof(float));
    pf_layerwise_project(p->w, layer);
    set_windows(p, p->options->windows + layer * p->exact->KV);
    pf_exact_targets_walk(p->exact);
    attend_exactly(p);
    drop_tails(p, first, n);
    pf_layerwise_finish(p->w, layer);
    for (size_t i = layer + 1; i < p->model->n_layers; i++)
        if (!exact_layer(p, i, error)) return false;
    pf_layerwise_logits(p->w, p->row, p->n_predicted, p->logits);
    pf_parallel(p->options->n_threads, divergence_share, p);
    double sum = 0;
    for (size_t i = 0; i < p->n_predicted; i++) sum += p->kl[i];
    *kl = sum > 0 ? sum / (double)p->n_predicted : 0;
    return true;
}

static bool probe_all(probe *p, double *result, pf_error *error) {
    size_t L = p->model->n_layers, KV = p->exact->KV, n = p->options->together ? KV : 1;
    double total = (double)L * (double)(L + 1), done = 0;
    for (size_t layer = 0; layer < L; layer++) {
        memcpy(p->inputs + layer * stream_floats(p), p->w->x, stream_floats(p) * sizeof(float));
        if (!exact_layer(p, layer, error)) return false;
    }
    pf_layerwise_logits(p->w, p->row, p->n_predicted, p->reference);
    for (size_t layer = 0; layer < L; layer++) {
        for (size_t k = 0; k < KV && !pf_layer_slides(p->model, layer); k += n) {
            double kl;
            if (!probe_heads(p, layer, k, n, &kl, error)) return false;
            for (size_t i = k; i < k + n; i++) result[layer * KV + i] = kl / (double)n;
        }
        done += 2 * (double)(L - layer);
        if (p->options->progress && !p->options->progress(p->options->context, done / total))
            return pf_fail(error, "interrupted");
    }
    return true;
}

bool pf_head_sensitivity(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                         const pf_sensitivity_options *options, double *result, pf_error *error) {
    const char *what = "the sensitivity of heads";
    probe p = {.model = model, .options = options};
    bool good = false;
    p.w = pf_layerwise_new(model, texts, n_texts, options->n_threads, error);
    if (p.w) p.exact = pf_exact_targets_new(p.w, options->sinks, NULL, options->n_threads, error);
    if (!p.exact) goto done;
    size_t most = p.w->n_rows / ROW_STEP + 1;
    p.inputs = pf_calloc(model->n_layers, stream_floats(&p) * sizeof(float), what, error);
    p.row = pf_calloc(most, sizeof *p.row, what, error);
    p.reference = pf_calloc(most, model->n_vocab * sizeof(float), what, error);
    p.logits = pf_calloc(most, model->n_vocab * sizeof(float), what, error);
    p.weights = pf_calloc((size_t)options->n_threads, model->n_vocab * sizeof(float), what, error);
    p.kl = pf_calloc(most, sizeof *p.kl, what, error);
    if (!p.inputs || !p.row || !p.reference || !p.logits || !p.weights || !p.kl) goto done;
    for (size_t r = ROW_STEP - 1; r < p.w->n_rows; r += ROW_STEP) p.row[p.n_predicted++] = r;
    good = probe_all(&p, result, error);
done:
    pf_free(p.inputs);
    pf_free(p.row);
    pf_free(p.reference);
    pf_free(p.logits);
    pf_free(p.weights);
    pf_free(p.kl);
    pf_exact_targets_free(p.exact);
    pf_layerwise_free(p.w);
    return good;
}
