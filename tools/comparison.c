/* floor 5.5 - comparison: one model, a reference and any number of settings, over the same texts. */
#include "comparison.h"

#include "common.h"
#include "memory.h"
#include "threads.h"

#include <math.h>
#include <string.h>

enum { MAX_LOGITS_BYTES = 1 << 25, MAX_CHUNK = 256, DECODE_TOKENS = 16 };

typedef struct comparer {
    compared *rows;
    pf_session **sessions; /* [n] */
    size_t n, chunk, n_vocab;
    int n_threads;
    float *reference, *logits; /* [chunk, V] each */
    struct score *scores;      /* [chunk] */
    size_t done;
    void (*tell)(void *context, size_t done);
    void *context;
} comparer;

/* One position: the reference's distribution against a setting's. */
typedef struct score {
    double kl, nll;
    bool top1;
} score;

static size_t most_probable(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* log sum exp, in double */
static double log_sum(const float *logits, size_t n, float top) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - (double)top);
    return (double)top + log(sum);
}

/* KL(p || q) = sum p (log p - log q) */
static score score_position(const float *p, const float *q, size_t n, int32_t next) {
    size_t best_p = most_probable(p, n), best_q = most_probable(q, n);
    double log_p = log_sum(p, n, p[best_p]), log_q = log_sum(q, n, q[best_q]);
    score s = {.nll = log_q - (double)q[next], .top1 = best_p == best_q};
    for (size_t i = 0; i < n; i++) {
        double log_pi = (double)p[i] - log_p;
        if (log_pi > -100) s.kl += exp(log_pi) * (log_pi - ((double)q[i] - log_q));
    }
    return s;
}

typedef struct scoring {
    const comparer *c;
    const float *logits;
    const int32_t *next; /* [n] */
    size_t n;
} scoring;

static void score_share(void *context, pf_member me) {
    const scoring *s = context;
    size_t begin, end, V = s->c->n_vocab;
    pf_share(me, s->n, 1, &begin, &end);
    for (size_t i = begin; i < end; i++)
        s->c->scores[i] = score_position(s->c->reference + i * V, s->logits + i * V, V, s->next[i]);
}

/* Row r reads n tokens whose successors are all known. */
static bool read_chunk(comparer *c, size_t r, const int32_t *tokens, size_t n, pf_error *error) {
    compared *row = &c->rows[r];
    float *logits = r == 0 ? c->reference : c->logits;
    double start = seconds_now();
    if (!pf_session_append(c->sessions[r], tokens, n, logits, n, error)) return false;
    row->prefill_seconds += seconds_now() - start;
    row->prefill_tokens += n;
    scoring s = {c, logits, tokens + 1, n};
    pf_parallel(c->n_threads, score_share, &s);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(c->scores[i].nll) || !isfinite(c->scores[i].kl))
            return pf_fail(error, "the logits under %s are no numbers", row->name);
        row->nll += c->scores[i].nll;
        row->kl += c->scores[i].kl;
        row->top1 += c->scores[i].top1;
    }
    row->predicted += n;
    c->done += n;
    if (c->tell) c->tell(c->context, c->done);
    return true;
}

static bool read_text(comparer *c, const pf_tokens *text, pf_error *error) {
    for (size_t r = 0; r < c->n; r++) pf_session_reset(c->sessions[r]);
    for (size_t done = 0; done + 1 < text->count;) {
        size_t left = text->count - 1 - done, n = left < c->chunk ? left : c->chunk;
        for (size_t r = 0; r < c->n; r++) {
            if (terminal_interrupted()) return pf_fail(error, "interrupted");
            if (!read_chunk(c, r, text->ids + done, n, error)) return false;
        }
        done += n;
    }
    return true;
}

/* The speed of single tokens behind what has been read. */
static bool time_decode(comparer *c, size_t r, const pf_tokens *text, pf_error *error) {
    pf_session *session = c->sessions[r];
    size_t n = pf_session_room(session) < DECODE_TOKENS ? pf_session_room(session) : DECODE_TOKENS;
    double start = seconds_now();
    for (size_t i = 0; i < n; i++)
        if (!pf_session_append(session, &text->ids[i % text->count], 1, c->logits, 1, error))
            return false;
    c->rows[r].decode_seconds = seconds_now() - start;
    c->rows[r].decode_tokens = n;
    return true;
}

static bool open_sessions(comparer *c, const pf_model *model, pf_error *error) {
    c->n_vocab = model->n_vocab;
    c->chunk = MAX_LOGITS_BYTES / (c->n_vocab * sizeof(float));
    if (c->chunk < 16) c->chunk = 16;
    if (c->chunk > MAX_CHUNK) c->chunk = MAX_CHUNK;
    c->n_threads = c->rows[0].options.n_threads;
    c->sessions = pf_calloc(c->n, sizeof *c->sessions, "the sessions", error);
    c->reference = pf_calloc(c->chunk, c->n_vocab * sizeof(float), "the logits", error);
    c->logits = pf_calloc(c->chunk, c->n_vocab * sizeof(float), "the logits", error);
    c->scores = pf_calloc(c->chunk, sizeof *c->scores, "the scores", error);
    if (!c->sessions || !c->reference || !c->logits || !c->scores) return false;
    for (size_t r = 0; r < c->n; r++) {
        c->sessions[r] = pf_session_new(model, &c->rows[r].options, error);
        if (!c->sessions[r]) return pf_fail(error, "%s: %s", c->rows[r].name, error->message);
        c->rows[r].state_bytes = pf_session_state_bytes(c->sessions[r]);
    }
    return true;
}

static bool run(comparer *c, const pf_model *model, const input_texts *texts, pf_error *error) {
    if (!open_sessions(c, model, error)) return false;
    const pf_tokens *last = NULL;
    for (size_t i = 0; i < texts->count; i++) {
        if (!read_text(c, &texts->texts[i], error)) return false;
        if (texts->texts[i].count > 1) last = &texts->texts[i];
    }
    for (size_t r = 0; last && r < c->n; r++)
        if (!time_decode(c, r, last, error)) return false;
    for (size_t r = 0; r < c->n; r++) c->rows[r].stats = pf_session_get_stats(c->sessions[r]);
    return true;
}

bool compare_texts(const pf_model *model, const input_texts *texts, compared *rows, size_t n,
                   void (*tell)(void *context, size_t done), void *context, pf_error *error) {
    comparer c = {.rows = rows, .n = n, .tell = tell, .context = context};
    bool good = run(&c, model, texts, error);
    for (size_t r = 0; c.sessions && r < n; r++) pf_session_free(c.sessions[r]);
    pf_free(c.sessions);
    pf_free(c.reference);
    pf_free(c.logits);
    pf_free(c.scores);
    return good;
}
