/* floor 5.5 - comparison: a reference and any number of settings of one model on the same texts. */
#include "comparison.h"

#include "continuation.h"
#include "divergence.h"
#include "memory.h"
#include "resources.h"
#include "terminal.h"
#include "threads.h"

#include <math.h>
#include <string.h>

enum { MAX_LOGITS_BYTES = 1 << 25, MAX_ROWS_BYTES = 1 << 25, MAX_CHUNK = 256, DECODE_TOKENS = 25 };

typedef struct comparer {
    comparison *c;
    compared *rows;
    pf_session **sessions; /* [n] */
    layer_watch *watches;  /* [n] */
    size_t n, chunk, n_vocab;
    int n_threads;
    float *reference, *weights, *logits; /* [chunk, V] each */
    prediction *predictions;             /* [chunk] the reference's */
    divergence *divergences;             /* [chunk] */
    layer_rows kept;
    head_z z;
    size_t done;
} comparer;

typedef struct scoring {
    const comparer *c;
    bool is_reference;
    const int32_t *next; /* [n] */
    size_t n;
} scoring;

static void score_share(void *context, pf_member me) {
    const scoring *s = context;
    const comparer *c = s->c;
    size_t begin, end, V = c->n_vocab;
    pf_share(me, s->n, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const float *p = c->reference + i * V, *q = s->is_reference ? p : c->logits + i * V;
        float *weights = c->weights + i * V;
        prediction own = predict(q, V, s->is_reference ? weights : NULL);
        if (s->is_reference) c->predictions[i] = own;
        c->divergences[i] = diverge(&c->predictions[i], p, weights, &own, q, V, s->next[i]);
    }
}

static bool add_scores(comparer *c, compared *row, size_t n, pf_error *error) {
    for (size_t i = 0; i < n; i++) {
        const divergence *d = &c->divergences[i];
        if (!isfinite(d->nll) || !isfinite(d->kl))
            return pf_fail(error, "the logits under %s are not finite", row->name);
        row->nll += d->nll;
        row->kl += d->kl;
        row->kls[row->predicted++] = d->kl;
        row->top1 += d->top1;
        row->top5 += (size_t)d->top5;
    }
    return true;
}

/* Row r reads n tokens; the token after each is known. */
static bool read_chunk(comparer *c, size_t r, const int32_t *tokens, size_t n, pf_error *error) {
    compared *row = &c->rows[r];
    float *logits = r == 0 ? c->reference : c->logits;
    double watched = c->watches[r].seconds, start = seconds_now();
    if (!pf_session_append(c->sessions[r], tokens, n, logits, n, error)) return false;
    row->prefill_seconds += seconds_now() - start - (c->watches[r].seconds - watched);
    row->prefill_tokens += n;
    scoring s = {c, r == 0, tokens + 1, n};
    pf_parallel(c->n_threads, score_share, &s);
    c->done += n;
    if (c->c->tell) c->c->tell(c->c->context, c->done);
    return add_scores(c, row, n, error);
}

static bool read_text(comparer *c, const pf_tokens *text, pf_error *error) {
    for (size_t r = 0; r < c->n; r++) pf_session_reset(c->sessions[r]);
    for (size_t done = 0; done + 1 < text->count;) {
        size_t left = text->count - 1 - done, n = left < c->chunk ? left : c->chunk;
        c->kept.first = done;
        for (size_t r = 0; r < c->n; r++) {
            if (terminal_interrupted()) return pf_fail(error, "interrupted");
            if (!read_chunk(c, r, text->ids + done, n, error)) return false;
        }
        done += n;
    }
    return true;
}

static bool time_token(comparer *c, size_t r, int32_t token, double *seconds, pf_error *error) {
    double start = seconds_now();
    if (!pf_session_append(c->sessions[r], &token, 1, c->logits, 1, error)) return false;
    *seconds = seconds_now() - start;
    return true;
}

/* Times single tokens after what has been read. The sessions take turns, so that a disturbance hits
 * all of them alike, and the median counts. */
static bool time_decode(comparer *c, const pf_tokens *text, pf_error *error) {
    double *seconds = pf_calloc(c->n, DECODE_TOKENS * sizeof *seconds, "the timings", error);
    size_t n = seconds ? DECODE_TOKENS : 0;
    for (size_t r = 0; r < c->n; r++)
        if (pf_session_room(c->sessions[r]) < n) n = pf_session_room(c->sessions[r]);
    bool good = seconds != NULL;
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; good && r < c->n; r++)
            good = time_token(c, r, text->ids[i % text->count], seconds + r * n + i, error);
    for (size_t r = 0; good && n > 0 && r < c->n; r++) {
        sort_values(seconds + r * n, n);
        c->rows[r].decode_seconds = quantile(seconds + r * n, n, 0.5);
    }
    pf_free(seconds);
    return good;
}

static bool write_on(comparer *c, size_t r, pf_error *error) {
    const comparison *want = c->c;
    compared *row = &c->rows[r];
    if (!continue_greedily(c->sessions[r], want->tokenizer, want->prompt, want->n_prompt,
                           want->n_write, c->logits, &row->written, error))
        return false;
    row->parts_at = first_difference(&c->rows[0].written, &row->written);
    c->done += want->n_write;
    if (want->tell) want->tell(want->context, c->done);
    return true;
}

/* Tokens per chunk: as many as fit the memory allowed for their logits and their layers' rows. */
static size_t chunk_size(const pf_model *model) {
    size_t logits = MAX_LOGITS_BYTES / (model->n_vocab * sizeof(float));
    size_t rows = MAX_ROWS_BYTES / ((size_t)model->n_layers * model->width * sizeof(float));
    size_t chunk = logits < rows ? logits : rows;
    return chunk < 16 ? 16 : chunk > MAX_CHUNK ? MAX_CHUNK : chunk;
}

static size_t n_predictions(const input_texts *texts) {
    size_t n = 0;
    for (size_t i = 0; i < texts->count; i++)
        n += texts->texts[i].count > 1 ? texts->texts[i].count - 1 : 0;
    return n;
}

static bool open_row(comparer *c, size_t r, size_t predictions, pf_error *error) {
    compared *row = &c->rows[r];
    const pf_model *model = row->model;
    c->sessions[r] = pf_session_new(model, &row->options, error);
    if (!c->sessions[r]) return pf_fail(error, "%s: %s", row->name, error->message);
    row->state_bytes = pf_state_bytes(model, pf_session_get_options(c->sessions[r]));
    row->kls = pf_calloc(predictions, sizeof *row->kls, "the divergences", error);
    row->layers = pf_calloc(model->n_layers, sizeof *row->layers, "the layers' errors", error);
    if (!row->kls || !row->layers) return false;
    c->watches[r] = (layer_watch){
        .rows = &c->kept, .errors = r == 0 ? NULL : row->layers, .z = r == 0 ? &c->z : NULL};
    pf_session_set_tap(c->sessions[r], layer_watch_tap, &c->watches[r]);
    return true;
}

static bool open_all(comparer *c, pf_error *error) {
    const pf_model *model = c->c->model;
    size_t V = model->n_vocab, predictions = n_predictions(c->c->texts);
    c->n_vocab = V;
    c->chunk = chunk_size(model);
    c->n_threads = c->rows[0].options.n_threads;
    c->sessions = pf_calloc(c->n, sizeof *c->sessions, "the sessions", error);
    c->watches = pf_calloc(c->n, sizeof *c->watches, "the sessions", error);
    c->reference = pf_calloc(c->chunk, V * sizeof(float), "the logits", error);
    c->weights = pf_calloc(c->chunk, V * sizeof(float), "the logits", error);
    c->logits = pf_calloc(c->chunk, V * sizeof(float), "the logits", error);
    c->predictions = pf_calloc(c->chunk, sizeof *c->predictions, "the scores", error);
    c->divergences = pf_calloc(c->chunk, sizeof *c->divergences, "the scores", error);
    if (!c->sessions || !c->watches || !c->reference || !c->weights || !c->logits ||
        !c->predictions || !c->divergences || !layer_rows_new(&c->kept, model, c->chunk, error) ||
        !head_z_new(&c->z, model, c->rows[0].options.context, c->chunk, error))
        return false;
    for (size_t r = 0; r < c->n; r++)
        if (!open_row(c, r, predictions, error)) return false;
    return true;
}

static bool keep_z(const comparer *c, pf_error *error) {
    const pf_model *model = c->c->model;
    double *z = pf_calloc(model->n_layers, model->n_heads * sizeof *z, "the heads' norms", error);
    c->c->z = z;
    for (uint32_t l = 0; z && l < model->n_layers; l++)
        for (uint32_t h = 0; h < model->n_heads; h++)
            z[l * model->n_heads + h] = head_z_get(&c->z, l, h);
    return z != NULL;
}

static bool sort_divergences(compared *row, pf_error *error) {
    row->kls_sorted = pf_calloc(row->predicted, sizeof *row->kls, "the divergences", error);
    if (!row->kls_sorted) return false;
    memcpy(row->kls_sorted, row->kls, row->predicted * sizeof *row->kls);
    sort_values(row->kls_sorted, row->predicted);
    return true;
}

static bool run(comparer *c, pf_error *error) {
    if (!open_all(c, error)) return false;
    const input_texts *texts = c->c->texts;
    const pf_tokens *last = NULL;
    for (size_t i = 0; i < texts->count; i++) {
        if (!read_text(c, &texts->texts[i], error)) return false;
        if (texts->texts[i].count > 1) last = &texts->texts[i];
    }
    for (size_t r = 0; r < c->n; r++) {
        pf_session_set_tap(c->sessions[r], NULL, NULL);
        c->rows[r].stats = pf_session_get_stats(c->sessions[r]);
    }
    if (!keep_z(c, error) || (last && !time_decode(c, last, error))) return false;
    for (size_t r = 0; r < c->n; r++)
        if (!sort_divergences(&c->rows[r], error) || (c->c->n_write && !write_on(c, r, error)))
            return false;
    return true;
}

bool comparison_run(comparison *all, pf_error *error) {
    comparer c = {.c = all, .rows = all->rows, .n = all->n};
    bool good = run(&c, error);
    for (size_t r = 0; c.sessions && r < c.n; r++) pf_session_free(c.sessions[r]);
    pf_free(c.sessions);
    pf_free(c.watches);
    pf_free(c.reference);
    pf_free(c.weights);
    pf_free(c.logits);
    pf_free(c.predictions);
    pf_free(c.divergences);
    layer_rows_free(&c.kept);
    head_z_free(&c.z);
    return good;
}

void comparison_free(comparison *c) {
    for (size_t r = 0; c->rows && r < c->n; r++) {
        pf_free(c->rows[r].kls);
        pf_free(c->rows[r].kls_sorted);
        pf_free(c->rows[r].layers);
        pf_tokens_free(&c->rows[r].written);
    }
    pf_free(c->z);
    c->z = NULL;
}
