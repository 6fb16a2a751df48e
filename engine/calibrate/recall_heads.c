/* floor 2.8 - recall heads: the few heads that look far back for an answer. */
#include "recall_heads.h"

#include "memory.h"

#include <string.h>

typedef struct search {
    pf_answer_probe *probe;
    const pf_recall_heads_options *options;
    pf_recall_heads *set; /* its heads are free */
    size_t n;
    const uint32_t *limits; /* [n] */
    uint32_t *windows;      /* [n] of the current set */
    double *missed;         /* [n] what limiting a head of the set costs, in nats */
    double work, total;     /* probes, for the progress */
} search;

/* Heads that a round takes out of n, at most. */
static size_t leaving(const search *s, size_t n) {
    size_t most = s->options->most, third = n / 3 > 1 ? n / 3 : 1;
    return n <= most || third < n - most ? third : n - most;
}

/* Probes of all rounds up to the size wanted, and of a few more. */
static double expected_work(const search *s) {
    enum { MORE_ROUNDS = 3 };
    double work = 0;
    size_t n = s->n;
    for (; n > s->options->most; n -= leaving(s, n)) work += (double)n;
    return work + MORE_ROUNDS * (double)n;
}

/* Sets how much each head of the set is missed. */
static bool probe_each(search *s, pf_error *error) {
    const pf_recall_heads_options *o = s->options;
    for (size_t k = 0; k < s->set->n; k++) {
        size_t i = s->set->head[k];
        s->windows[i] = s->limits[i];
        s->missed[i] = pf_answer_probe_loss(s->probe, s->windows) - s->set->reached;
        s->windows[i] = PF_WINDOW_ALL;
        double done = ++s->work < s->total ? s->work / s->total : 1;
        if (o->progress && !o->progress(o->context, done)) return pf_fail(error, "interrupted");
    }
    return true;
}

/* The most missed first. */
static void sort(const search *s) {
    size_t *head = s->set->head;
    for (size_t k = 1; k < s->set->n; k++) {
        size_t i = head[k], at = k;
        for (; at > 0 && s->missed[head[at - 1]] < s->missed[i]; at--) head[at] = head[at - 1];
        head[at] = i;
    }
}

/* Limits the last `count` heads of the set, or frees them again. */
static void set_last(search *s, size_t count, bool limit) {
    for (size_t k = s->set->n - count; k < s->set->n; k++) {
        size_t i = s->set->head[k];
        s->windows[i] = limit ? s->limits[i] : PF_WINDOW_ALL;
    }
}

/* Limits the last `count` heads, or as many as leave a loss that is enough. Returns how many. */
static size_t limit_last(search *s, size_t count, double enough) {
    for (; count > 0; count /= 2) {
        set_last(s, count, true);
        double loss = pf_answer_probe_settle(s->probe, s->windows);
        if (loss <= enough || s->set->n > s->options->most) {
            s->set->reached = loss;
            return count;
        }
        set_last(s, count, false);
    }
    return 0;
}

static bool choose(search *s, pf_error *error) {
    pf_recall_heads *set = s->set;
    double enough = set->exact + s->options->loss;
    for (size_t i = 0; i < s->n; i++) {
        s->windows[i] = PF_WINDOW_ALL;
        if (s->limits[i] != PF_WINDOW_ALL) set->head[set->n++] = i;
    }
    set->limited = pf_answer_probe_loss(s->probe, s->limits);
    set->reached = set->exact;
    if (set->limited <= enough) {
        set->n = 0;
        set->reached = set->limited;
    }
    while (set->n > 0) {
        if (!probe_each(s, error)) return false;
        sort(s);
        size_t count = limit_last(s, leaving(s, set->n), enough);
        if (count == 0) break;
        set->n -= count;
    }
    return true;
}

bool pf_recall_heads_choose(pf_answer_probe *probe, size_t n_heads, const uint32_t *windows,
                            const pf_recall_heads_options *options, pf_recall_heads *heads,
                            pf_error *error) {
    const char *what = "the search for recall heads";
    search s = {.probe = probe, .options = options, .set = heads, .n = n_heads, .limits = windows};
    s.total = expected_work(&s);
    *heads = (pf_recall_heads){.exact = pf_answer_probe_exact_loss(probe)};
    heads->head = pf_calloc(n_heads, sizeof *heads->head, what, error);
    s.windows = pf_calloc(n_heads, sizeof *s.windows, what, error);
    s.missed = pf_calloc(n_heads, sizeof *s.missed, what, error);
    bool good = heads->head && s.windows && s.missed && choose(&s, error);
    pf_free(s.windows);
    pf_free(s.missed);
    return good;
}

void pf_recall_heads_free(pf_recall_heads *heads) {
    pf_free(heads->head);
    *heads = (pf_recall_heads){0};
}
