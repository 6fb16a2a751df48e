/* floor 5.5 - scaling: time per token and state of several settings, by text length. */
#include "scaling.h"

#include "divergence.h"
#include "memory.h"
#include "resources.h"
#include "rng.h"
#include "terminal.h"

#include <math.h>

enum { STEP = 256, TIMED = 15 };

/* One row being measured. */
typedef struct measuring {
    scaling *s;
    scaling_row *row;
    pf_session *session;
    int32_t *tokens; /* [longest context] */
    float *logits;   /* [V] */
    double until;    /* when its time is up */
} measuring;

static bool time_is_over(const measuring *m) {
    return seconds_now() > m->until || terminal_interrupted();
}

/* Reads on up to `context` tokens. *read_ms is per token of the last piece; *reached is false if
 * time ran out. */
static bool read_on(measuring *m, size_t context, double *read_ms, bool *reached, pf_error *error) {
    *reached = true;
    for (size_t at = pf_session_position(m->session); at < context;) {
        if (time_is_over(m)) {
            *reached = false;
            return true;
        }
        size_t n = context - at < STEP ? context - at : STEP;
        if (context - at > STEP && context - at < 2 * STEP)
            n = context - at - STEP; /* so that the last piece is a full one */
        double start = seconds_now();
        if (!pf_session_append(m->session, m->tokens + at, n, NULL, 0, error)) return false;
        *read_ms = 1e3 * (seconds_now() - start) / (double)n;
        at += n;
        if (m->s->tell) m->s->tell(m->s->context, m->row->name, at);
    }
    return true;
}

static bool time_single_tokens(measuring *m, double *write_ms, pf_error *error) {
    double seconds[TIMED];
    size_t n = 0;
    for (; n < TIMED && pf_session_room(m->session) > 0; n++) {
        double start = seconds_now();
        if (!pf_session_append(m->session, m->tokens + n, 1, m->logits, 1, error)) return false;
        seconds[n] = seconds_now() - start;
    }
    sort_values(seconds, n);
    *write_ms = n ? 1e3 * quantile(seconds, n, 0.5) : 0;
    return true;
}

static bool measure_row(measuring *m, pf_error *error) {
    const scaling *s = m->s;
    for (size_t i = 0; i < s->n_contexts; i++) {
        scaling_point *point = &m->row->points[i];
        bool reached;
        /* The single tokens timed at one context also count towards the next. */
        if (!read_on(m, s->contexts[i], &point->read_ms, &reached, error)) return false;
        if (!reached) return true;
        if (!time_single_tokens(m, &point->write_ms, error)) return false;
        point->measured = true;
    }
    return true;
}

static size_t longest(const scaling *s) { return s->contexts[s->n_contexts - 1]; }

static bool measure(scaling *s, size_t r, double until, int32_t *tokens, float *logits,
                    pf_error *error) {
    scaling_row *row = &s->rows[r];
    pf_session_options wanted = row->options;
    for (size_t i = 0; i < s->n_contexts; i++) {
        wanted.context = s->contexts[i];
        row->points[i].state_bytes = pf_state_bytes(s->model, &wanted);
    }
    wanted.context = longest(s) + TIMED;
    if (s->model->position_embedding && wanted.context > s->model->context)
        wanted.context = s->model->context;
    measuring m = {s, row, pf_session_new(s->model, &wanted, error), tokens, logits, 0};
    if (!m.session) return pf_fail(error, "%s: %s", row->name, error->message);
    m.until = until;
    bool good = measure_row(&m, error);
    pf_session_free(m.session);
    return good;
}

/* Finds where softmax becomes slower, by linear interpolation between contexts. */
static void find_crossings(scaling *s, scaling_row *row) {
    const scaling_row *softmax = &s->rows[0];
    row->write_crossing = INFINITY;
    double before = 0;
    for (size_t i = 0; i < s->n_contexts; i++) {
        const scaling_point *p = &softmax->points[i], *q = &row->points[i];
        if (!p->measured || !q->measured) break;
        double difference = p->write_ms - q->write_ms;
        if (difference > 0) {
            double from = i ? (double)s->contexts[i - 1] : 0, to = (double)s->contexts[i];
            row->write_crossing = i ? from + (to - from) * before / (before - difference) : 0;
            break;
        }
        before = difference;
    }
    pf_session_options one = softmax->options, own = row->options;
    own.context = longest(s);
    one.context = 4096; /* fills whole cache lines, so nothing is rounded up */
    double per_token = (double)pf_state_bytes(s->model, &one) / (double)one.context;
    row->state_crossing = (size_t)ceil((double)pf_state_bytes(s->model, &own) / per_token);
}

bool scaling_run(scaling *s, pf_error *error) {
    pf_rng rng;
    size_t n = longest(s) + TIMED;
    int32_t *tokens = pf_calloc(n, sizeof *tokens, "the tokens", error);
    float *logits = pf_calloc(s->model->n_vocab, sizeof *logits, "the logits", error);
    bool good = tokens && logits;
    pf_rng_seed(&rng, 1, 0);
    for (size_t i = 0; good && i < n; i++)
        tokens[i] = (int32_t)(pf_rng_u64(&rng) % s->model->n_vocab);
    double end = seconds_now() + s->seconds;
    for (size_t i = 1; good && i <= s->n_rows; i++) {
        size_t r = i % s->n_rows; /* softmax last: it gets all the time left */
        double left = end - seconds_now(), share = left / (double)(s->n_rows - i + 1);
        good = measure(s, r, seconds_now() + share, tokens, logits, error);
    }
    for (size_t r = 1; good && r < s->n_rows; r++) find_crossings(s, &s->rows[r]);
    pf_free(tokens);
    pf_free(logits);
    return good;
}

static double features_of(const pf_model *model, const pf_attention_options *attention) {
    if (attention->kind != PF_ATTENTION_FAVOR) return 0;
    return attention->map == PF_MAP_ELU ? model->head_dim : attention->features;
}

double scaling_theory(const scaling *s, size_t row, size_t context) {
    const pf_attention_options *a = &s->rows[row].options.attention;
    double D = s->model->head_dim, seen = (double)context;
    double kept = (double)a->window + (double)a->sinks;
    if (a->kind != PF_ATTENTION_SOFTMAX && seen > kept) seen = kept;
    return 2 * D * seen + 2 * features_of(s->model, a) * D;
}

double scaling_theory_crossing(const scaling *s, size_t row) {
    const pf_attention_options *a = &s->rows[row].options.attention;
    if (a->kind == PF_ATTENTION_SOFTMAX) return INFINITY;
    return (double)a->window + (double)a->sinks + features_of(s->model, a);
}
