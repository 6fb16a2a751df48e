/* floor 5.4 - evaluate: -log p of every token of the texts, in one session. */
#include "evaluate.h"

#include "memory.h"
#include "terminal.h"
#include "threads.h"

#include <math.h>

enum { MAX_LOGITS_BYTES = 1 << 25, MAX_CHUNK = 256 };

typedef struct evaluator {
    pf_session *session;
    const evaluation_options *settings;
    evaluation *result;
    size_t n_vocab, chunk;
    float *logits; /* [chunk, V] */
    double *log_p; /* [chunk] of the token after each */
} evaluator;

double log_probability(const float *logits, size_t n, int32_t target) {
    float max = logits[0];
    for (size_t i = 1; i < n; i++)
        if (logits[i] > max) max = logits[i];
    double sum = exp((double)logits[0] - (double)max);
    for (size_t i = 1; i < n; i++) sum += exp((double)logits[i] - (double)max);
    return (double)logits[target] - (double)max - log(sum);
}

typedef struct {
    const evaluator *e;
    const int32_t *targets; /* [n] */
    size_t n;
} scoring;

static void score_share(void *context, pf_member member) {
    const scoring *s = context;
    size_t begin, end;
    pf_share(member, s->n, 1, &begin, &end);
    for (size_t i = begin; i < end; i++)
        s->e->log_p[i] =
            log_probability(s->e->logits + i * s->e->n_vocab, s->e->n_vocab, s->targets[i]);
}

static bool grow_buckets(evaluation *result, size_t needed, pf_error *error) {
    if (needed <= result->n_buckets) return true;
    evaluation_bucket *grown =
        pf_realloc(result->buckets, needed, sizeof *grown, "the buckets", error);
    if (!grown) return false;
    for (size_t i = result->n_buckets; i < needed; i++) grown[i] = (evaluation_bucket){0};
    result->buckets = grown;
    result->n_buckets = needed;
    return true;
}

/* Adds the n predictions of the tokens at positions first, first + 1, ... */
static bool add_predictions(evaluator *e, size_t first, size_t n, pf_error *error) {
    evaluation *result = e->result;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(e->log_p[i]))
            return pf_fail(error,
                           "the logits before token %zu of a text are not finite; the weights are "
                           "damaged, or too large for this kind of attention",
                           first + i);
        result->total.nll -= e->log_p[i];
        result->total.predicted++;
        if (!result->bucket) continue;
        size_t index = (first + i) / result->bucket;
        if (!grow_buckets(result, index + 1, error)) return false;
        result->buckets[index].nll -= e->log_p[i];
        result->buckets[index].predicted++;
    }
    return true;
}

static bool evaluate_chunk(evaluator *e, const pf_tokens *text, size_t done, size_t n,
                           pf_error *error) {
    const evaluation_options *settings = e->settings;
    size_t predicted = done + n < text->count ? n : n - 1;
    /* The logits after the last token have no target; they are computed only for the file. */
    size_t read = settings->logits ? n : predicted;
    if (!pf_session_append(e->session, text->ids + done, read, e->logits, read, error))
        return false;
    if (settings->logits &&
        !pf_writer_write(settings->logits, e->logits, n * e->n_vocab * sizeof(float), error))
        return false;
    scoring s = {e, text->ids + done + 1, predicted};
    pf_parallel(settings->n_threads, score_share, &s);
    return add_predictions(e, done + 1, predicted, error);
}

static bool evaluate_text(evaluator *e, const pf_tokens *text, pf_error *error) {
    pf_session_reset(e->session);
    for (size_t done = 0; done < text->count;) {
        if (terminal_interrupted()) {
            e->result->interrupted = true;
            return true;
        }
        size_t n = text->count - done < e->chunk ? text->count - done : e->chunk;
        if (!evaluate_chunk(e, text, done, n, error)) return false;
        done += n;
        e->result->tokens += n;
        if (e->settings->progress) e->settings->progress(e->settings->context, e->result->tokens);
    }
    return true;
}

bool evaluate(pf_session *session, const input_texts *texts, const evaluation_options *settings,
              evaluation *result, pf_error *error) {
    *result = (evaluation){.bucket = settings->bucket};
    evaluator e = {.session = session, .settings = settings, .result = result};
    e.n_vocab = pf_session_model(session)->n_vocab;
    e.chunk = MAX_LOGITS_BYTES / (e.n_vocab * sizeof(float));
    if (e.chunk < 16) e.chunk = 16;
    if (e.chunk > MAX_CHUNK) e.chunk = MAX_CHUNK;
    if (settings->chunk) e.chunk = settings->chunk;
    e.logits = pf_calloc(e.chunk, e.n_vocab * sizeof(float), "the logits", error);
    e.log_p = pf_calloc(e.chunk, sizeof(double), "the logits", error);
    bool good = e.logits && e.log_p;
    for (size_t i = 0; good && i < texts->count && !result->interrupted; i++)
        good = evaluate_text(&e, &texts->texts[i], error);
    pf_free(e.logits);
    pf_free(e.log_p);
    return good;
}

void evaluation_free(evaluation *result) {
    pf_free(result->buckets);
    *result = (evaluation){0};
}
