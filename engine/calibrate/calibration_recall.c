/* floor 2.11 - calibration: finds the recall heads, and what keeping them costs. */
#include "calibration_state.h"

#include "memory.h"
#include "sliding_layers.h"

#include <math.h>

/* PF_KEEP_CONSTANT: the set of recall heads is one that loses at most so many nats; and their long
 * windows take at most this share of the budget. */
static const double CONSTANT_LOSS = 0.3, CONSTANT_SHARE = 0.5;
/* A recall text counts if the model can answer it, in so many nats per token, and if that costs so
 * many more without memory. */
static const double CAN_ANSWER = 1.5, WORTH_KEEPING = 0.25;
/* At most a quarter of all heads are recall heads. */
enum { LEAST_WINDOW = 128, MOST_SHARE = 4 };

static bool show_search(void *context, double done) {
    const pf_calibration_run *r = context;
    const pf_calibration_options *o = r->options;
    bool go_on = !o->steps.stop || !o->steps.stop(o->steps.context);
    return go_on &&
           (!o->progress || o->progress(o->context, (r->done + done * r->recall_work) / r->total));
}

/* The exact heads that --state-bytes has room for, beside what the heads' windows and tails take
 * where nothing is said of bytes. */
static size_t affordable_heads(const pf_calibration_run *r) {
    const pf_calibration_options *o = r->options;
    if (o->keep == PF_KEEP_CONSTANT || o->state_bytes == 0) return SIZE_MAX;
    double room = pf_calibration_budget_bytes(r) - pf_calibration_mean_bytes(r);
    double head = pf_calibration_slot_bytes(r) * (double)o->budget_tokens;
    return room > 0 ? (size_t)(room / head) : 0;
}

/* What all heads are limited to in the search: a quarter of the shortest recall text, far less than
 * what lies between question and answer. The budget's own windows will not do: many are so small,
 * since tails do the rest, that without tails the model would hardly understand the question. */
static uint32_t search_window(const pf_calibration_options *o) {
    size_t n = o->recall[0].n;
    for (size_t i = 1; i < o->n_recall; i++)
        if (o->recall[i].n < n) n = o->recall[i].n;
    return n >= 8 ? (uint32_t)(n / 4) : 2;
}

static pf_answer_probe *probe_of(const pf_calibration_run *r, const pf_recall_text *texts, size_t n,
                                 pf_error *error) {
    const pf_calibration_options *o = r->options;
    return pf_answer_probe_new(r->model, texts, n, o->sinks, o->steps.n_threads, error);
}

/* *probe: of those texts that count, so that only they are computed again and again, or NULL if
 * none does. They are copied to texts [n_recall], which must outlive it. */
static bool probe_what_counts(const pf_calibration_run *r, const uint32_t *limits,
                              pf_recall_text *texts, pf_answer_probe **probe, pf_error *error) {
    const pf_calibration_options *o = r->options;
    pf_answer_probe *all = probe_of(r, o->recall, o->n_recall, error);
    *probe = NULL;
    if (!all) return false;
    size_t n = pf_answer_probe_select(all, limits, CAN_ANSWER, WORTH_KEEPING), kept = 0;
    if (n == o->n_recall) {
        *probe = all;
        return true;
    }
    for (size_t i = 0; i < o->n_recall; i++)
        if (pf_answer_probe_kept(all, i)) texts[kept++] = o->recall[i];
    pf_answer_probe_free(all);
    if (n > 0) *probe = probe_of(r, texts, n, error);
    return n == 0 || *probe;
}

/* Windows and tails cost about as much again as limited heads do. Nothing is allowed if as many
 * heads shall be exact as there are bytes for. */
static double allowed_loss(const pf_calibration_options *o) {
    if (o->keep == PF_KEEP_CONSTANT) return CONSTANT_LOSS;
    return o->recall_loss > 0 ? o->recall_loss / 2 : -INFINITY;
}

static bool search(pf_calibration_run *r, pf_recall_heads *heads, pf_error *error) {
    const pf_calibration_options *o = r->options;
    size_t n = pf_calibration_heads(r), room = affordable_heads(r);
    if (room == 0)
        return pf_fail(error,
                       "at %zu tokens one exact head takes %.0f bytes, and the windows and tails "
                       "%.0f: give more --state-bytes, a shorter --context, or --keep constant",
                       o->budget_tokens, pf_calibration_slot_bytes(r) * (double)o->budget_tokens,
                       pf_calibration_mean_bytes(r));
    pf_recall_heads_options options = {.loss = allowed_loss(o),
                                       .most = (n + MOST_SHARE - 1) / MOST_SHARE,
                                       .progress = show_search,
                                       .context = r};
    if (options.most > room) options.most = room;
    pf_recall_text *texts = pf_calloc(o->n_recall, sizeof *texts, "a calibration", error);
    uint32_t *limits = pf_calloc(n, sizeof *limits, "a calibration", error);
    pf_answer_probe *probe = NULL;
    for (size_t i = 0; limits && i < n; i++)
        limits[i] =
            pf_layer_slides(r->model, i / r->model->n_kv_heads) ? PF_WINDOW_ALL : search_window(o);
    bool good = texts && limits && probe_what_counts(r, limits, texts, &probe, error);
    if (good && probe) good = pf_recall_heads_choose(probe, n, limits, &options, heads, error);
    pf_answer_probe_free(probe);
    pf_free(limits);
    pf_free(texts);
    return good;
}

/* The longest window that `n` heads can have within their share of the budget; 0 if none is long
 * enough to help. */
static uint32_t affordable_window(const pf_calibration_run *r, size_t n) {
    double room = CONSTANT_SHARE * pf_calibration_budget_bytes(r) / (double)n;
    size_t slots = (size_t)(room / pf_calibration_slot_bytes(r)), best = 0;
    for (size_t i = 0; i < r->n_windows; i++)
        if (r->windows[i] <= slots) best = r->windows[i];
    for (size_t i = 0; i < r->n_more_windows; i++)
        if (r->more_windows[i] <= slots) best = r->more_windows[i];
    return best >= LEAST_WINDOW ? (uint32_t)best : 0;
}

/* Chooses with the first n_heads recall heads kept in this way. */
static bool choose_preset(pf_calibration_run *r, pf_keep_kind keep, pf_error *error) {
    pf_calibrated_recall *recall = &r->result->recall;
    pf_calibrated_preset *preset = &recall->presets[keep];
    for (size_t i = 0; i < pf_calibration_heads(r); i++) r->long_window[i] = 0;
    preset->window = keep == PF_KEEP_RECALL ? PF_WINDOW_ALL : affordable_window(r, recall->n_heads);
    for (size_t i = 0; i < recall->n_heads; i++) r->long_window[recall->heads[i]] = preset->window;
    if (pf_calibration_budget_bytes(r) <= 0)
        return pf_fail(error, "the exact heads alone take more than --state-bytes");
    if (!pf_calibration_choose(r, false, error)) return false;
    preset->nats = r->result->nats;
    preset->constant = (size_t)pf_calibration_budget_bytes(r);
    preset->per_token =
        keep == PF_KEEP_RECALL ? recall->n_heads * (size_t)pf_calibration_slot_bytes(r) : 0;
    return true;
}

bool pf_calibration_find_recall(pf_calibration_run *r, pf_error *error) {
    if (r->options->n_recall == 0) return true;
    pf_calibrated_recall *recall = &r->result->recall;
    pf_recall_heads heads = {0};
    r->searched = true;
    bool good = search(r, &heads, error);
    r->done += r->recall_work;
    recall->exact = heads.exact;
    recall->limited = heads.limited;
    recall->reached = heads.reached;
    if (good && heads.n > 0) {
        recall->heads = pf_calloc(heads.n, sizeof *recall->heads, "a calibration", error);
        good = recall->heads != NULL;
    }
    if (good) recall->n_heads = heads.n;
    for (size_t i = 0; good && i < heads.n; i++) recall->heads[i] = (uint32_t)heads.head[i];
    pf_recall_heads_free(&heads);
    if (!good || recall->n_heads == 0) return good;
    pf_keep_kind keep = r->options->keep;
    pf_keep_kind other = keep == PF_KEEP_RECALL ? PF_KEEP_CONSTANT : PF_KEEP_RECALL;
    pf_error ignored;
    choose_preset(r, other, &ignored); /* for the report only, so it may fail */
    return choose_preset(r, keep, error);
}
