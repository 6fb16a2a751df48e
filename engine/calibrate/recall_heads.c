/* floor 2.7 - recall heads: the few heads that look far back for an answer. */
#include "recall_heads.h"

#include "memory.h"

#include <string.h>

/* Candidates that are probed before one joins. Their order is what they promise: first the loss if
 * they alone are limited, later what they gained when they were last probed. */
enum { CANDIDATES = 8 };

typedef struct search {
    pf_answer_probe *probe;
    const pf_recall_heads_options *options;
    size_t n;
    const uint32_t *limits; /* [n] */
    uint32_t *windows;      /* [n] of the current set */
    double *promise;        /* [n] */
    double work, total;     /* probes, for the progress */
} search;

static bool advance(search *s, double work, pf_error *error) {
    const pf_recall_heads_options *o = s->options;
    s->work += work;
    double done = s->work < s->total ? s->work / s->total : 1;
    return !o->progress || o->progress(o->context, done) || pf_fail(error, "interrupted");
}

/* promise[i] = the loss that limiting head i alone costs. */
static bool probe_alone(search *s, double exact, pf_error *error) {
    for (size_t i = 0; i < s->n; i++) s->windows[i] = PF_WINDOW_ALL;
    for (size_t i = 0; i < s->n; i++) {
        s->windows[i] = s->limits[i];
        s->promise[i] = pf_answer_probe_loss(s->probe, s->windows) - exact;
        s->windows[i] = PF_WINDOW_ALL;
        if (!advance(s, 0.5, error)) return false;
    }
    return true;
}

/* The limited head that promises most among those not yet `probed`; n if there is none. */
static size_t most_promising(const search *s, const bool *probed) {
    size_t best = s->n;
    for (size_t i = 0; i < s->n; i++)
        if (!probed[i] && s->windows[i] != PF_WINDOW_ALL &&
            (best == s->n || s->promise[i] > s->promise[best]))
            best = i;
    return best;
}

/* Frees the head whose freedom lowers the loss most. *loss: before, and after. */
static bool join(search *s, bool *probed, double *loss, size_t *joined, pf_error *error) {
    double best_loss = 0;
    size_t best = s->n;
    memset(probed, 0, s->n * sizeof *probed);
    for (size_t c = 0; c < CANDIDATES; c++) {
        size_t i = most_promising(s, probed);
        if (i == s->n) break;
        probed[i] = true;
        s->windows[i] = PF_WINDOW_ALL;
        double now = pf_answer_probe_loss(s->probe, s->windows);
        s->windows[i] = s->limits[i];
        s->promise[i] = *loss - now;
        if (best == s->n || now < best_loss) best = i, best_loss = now;
        if (!advance(s, 1, error)) return false;
    }
    *joined = best;
    if (best == s->n) return true;
    s->windows[best] = PF_WINDOW_ALL;
    *loss = best_loss;
    return true;
}

/* Limits again those heads, the latest first, without which the loss stays within `enough`. */
static bool leave(search *s, double enough, pf_recall_heads *heads, pf_error *error) {
    for (size_t k = heads->n; k-- > 0;) {
        size_t i = heads->head[k];
        s->windows[i] = s->limits[i];
        double now = pf_answer_probe_loss(s->probe, s->windows);
        if (!advance(s, 1, error)) return false;
        if (now > enough) {
            s->windows[i] = PF_WINDOW_ALL;
            continue;
        }
        heads->reached = now;
        heads->n--;
        memmove(heads->head + k, heads->head + k + 1, (heads->n - k) * sizeof *heads->head);
        memmove(heads->left + k, heads->left + k + 1, (heads->n - k) * sizeof *heads->left);
    }
    return true;
}

static bool choose(search *s, bool *probed, pf_recall_heads *heads, pf_error *error) {
    double enough = heads->exact + s->options->loss, loss;
    if (!probe_alone(s, heads->exact, error)) return false;
    memcpy(s->windows, s->limits, s->n * sizeof *s->windows);
    loss = heads->limited = pf_answer_probe_loss(s->probe, s->windows);
    while (loss > enough && heads->n < s->options->most) {
        size_t joined;
        if (!join(s, probed, &loss, &joined, error)) return false;
        if (joined == s->n) break;
        heads->head[heads->n] = joined;
        heads->left[heads->n++] = loss;
    }
    heads->reached = loss;
    return loss > enough || leave(s, enough, heads, error);
}

bool pf_recall_heads_choose(pf_answer_probe *probe, size_t n_heads, const uint32_t *windows,
                            const pf_recall_heads_options *options, pf_recall_heads *heads,
                            pf_error *error) {
    const char *what = "the search for recall heads";
    size_t most = options->most < n_heads ? options->most : n_heads;
    pf_recall_heads_options used = *options;
    used.most = most;
    search s = {.probe = probe, .options = &used, .n = n_heads, .limits = windows};
    s.total = 0.5 * (double)n_heads + (CANDIDATES + 1) * (double)most / 2;
    *heads = (pf_recall_heads){.exact = pf_answer_probe_exact_loss(probe)};
    heads->head = pf_calloc(most, sizeof *heads->head, what, error);
    heads->left = pf_calloc(most, sizeof *heads->left, what, error);
    s.windows = pf_calloc(n_heads, sizeof *s.windows, what, error);
    s.promise = pf_calloc(n_heads, sizeof *s.promise, what, error);
    bool *probed = pf_calloc(n_heads, sizeof *probed, what, error);
    bool good = heads->head && heads->left && s.windows && s.promise && probed &&
                choose(&s, probed, heads, error);
    pf_free(s.windows);
    pf_free(s.promise);
    pf_free(probed);
    return good;
}

void pf_recall_heads_free(pf_recall_heads *heads) {
    pf_free(heads->head);
    pf_free(heads->left);
    *heads = (pf_recall_heads){0};
}
