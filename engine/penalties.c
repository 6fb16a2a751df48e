/* floor 2.1 - penalties: lowers the logits of tokens that the text already has.
 *
 * The last tokens are in a ring; back(0) is the newest. The counts of the last_n newest are kept up
 * to date with every token, so that a long look back costs nothing. */
#include "penalties.h"

#include "memory.h"

#include <math.h>
#include <string.h>

struct pf_penalties {
    pf_penalty_options options;
    size_t n_vocab;
    int32_t *ring; /* [room] */
    size_t room, used, next;
    uint32_t *counts;  /* [V] of the last_n newest tokens */
    uint32_t *runs;    /* [room] for DRY: see measure_runs */
    uint32_t *longest; /* [V] for DRY: zero between calls */
    float *logits;     /* [V] */
};

static bool counts_wanted(const pf_penalty_options *o) {
    bool repeat = o->repeat != 0 && o->repeat != 1;
    return o->last_n > 0 && (repeat || o->presence != 0 || o->frequency != 0);
}

static bool dry_wanted(const pf_penalty_options *o) {
    return o->dry_multiplier != 0 && o->dry_last_n > 0;
}

bool pf_penalties_wanted(const pf_penalty_options *options) {
    return counts_wanted(options) || dry_wanted(options);
}

static bool check(const pf_penalty_options *o, pf_error *error) {
    if (!isfinite(o->repeat) || o->repeat < 0 || !isfinite(o->presence) || !isfinite(o->frequency))
        return pf_fail(error,
                       "the repeat penalty is %g, the presence penalty %g, the frequency penalty "
                       "%g; all must be finite, and the first at least 0",
                       (double)o->repeat, (double)o->presence, (double)o->frequency);
    if (dry_wanted(o) && !(isfinite(o->dry_multiplier) && o->dry_multiplier >= 0 &&
                           isfinite(o->dry_base) && o->dry_base >= 1 && o->dry_allowed_length > 0))
        return pf_fail(error,
                       "DRY has multiplier %g, base %g and allowed length %zu; they must be at "
                       "least 0, 1 and 1",
                       (double)o->dry_multiplier, (double)o->dry_base, o->dry_allowed_length);
    return true;
}

pf_penalties *pf_penalties_new(const pf_penalty_options *options, size_t n_vocab, pf_error *error) {
    if (!check(options, error)) return NULL;
    pf_penalties *p = pf_calloc(1, sizeof *p, "the penalties", error);
    if (!p) return NULL;
    p->options = *options;
    p->n_vocab = n_vocab;
    size_t counted = counts_wanted(options) ? options->last_n : 0;
    size_t dry = dry_wanted(options) ? options->dry_last_n : 0;
    p->room = counted > dry ? counted : dry;
    if (p->room > PF_PENALTY_MOST) p->room = PF_PENALTY_MOST;
    bool good = true;
    good = good && (p->ring = pf_calloc(p->room, sizeof *p->ring, "the penalties", error));
    good = good && (p->runs = pf_calloc(p->room, sizeof *p->runs, "the penalties", error));
    good = good && (p->counts = pf_calloc(n_vocab, sizeof *p->counts, "the penalties", error));
    good = good && (p->longest = pf_calloc(n_vocab, sizeof *p->longest, "the penalties", error));
    good = good && (p->logits = pf_calloc(n_vocab, sizeof *p->logits, "the penalties", error));
    if (good) return p;
    pf_penalties_free(p);
    return NULL;
}

void pf_penalties_free(pf_penalties *p) {
    if (!p) return;
    pf_free(p->ring);
    pf_free(p->runs);
    pf_free(p->counts);
    pf_free(p->longest);
    pf_free(p->logits);
    pf_free(p);
}

/* The i-th newest token, i < used. */
static int32_t back(const pf_penalties *p, size_t i) {
    return p->ring[(p->next + p->room - 1 - i) % p->room];
}

void pf_penalties_push(pf_penalties *p, int32_t id) {
    if (id < 0 || (size_t)id >= p->n_vocab || p->room == 0) return;
    size_t counted = p->options.last_n < p->room ? p->options.last_n : p->room;
    if (counted > 0 && p->used >= counted) p->counts[back(p, counted - 1)]--;
    if (counted > 0) p->counts[id]++;
    p->ring[p->next] = id;
    p->next = (p->next + 1) % p->room;
    if (p->used < p->room) p->used++;
}

void pf_penalties_clear(pf_penalties *p) {
    p->used = p->next = 0;
    memset(p->counts, 0, p->n_vocab * sizeof *p->counts);
}

size_t pf_penalties_recent(const pf_penalties *p, int32_t *ids, size_t most) {
    size_t n = p->used < most ? p->used : most;
    for (size_t i = 0; ids && i < n; i++) ids[i] = back(p, n - 1 - i);
    return n;
}

static void apply_counts(const pf_penalties *p, float *logits) {
    const pf_penalty_options *o = &p->options;
    float repeat = o->repeat != 0 ? o->repeat : 1;
    for (size_t i = 0; i < p->n_vocab; i++) {
        if (p->counts[i] == 0) continue;
        logits[i] = logits[i] > 0 ? logits[i] / repeat : logits[i] * repeat;
        logits[i] -= (float)p->counts[i] * o->frequency + o->presence;
    }
}

/* runs[i] = how many of the newest tokens equal those before and including back(i): the Z function
 * of the text read backwards, in O(n) (Gusfield 1997, section 1.4). */
static void measure_runs(pf_penalties *p, size_t n) {
    uint32_t *z = p->runs;
    size_t left = 0, right = 0; /* the match that reaches furthest: [left, right) */
    for (size_t i = 1; i < n; i++) {
        size_t run = i < right ? z[i - left] : 0;
        if (i < right && run > right - i) run = right - i;
        while (i + run < n && back(p, run) == back(p, i + run)) run++;
        if (i + run > right) left = i, right = i + run;
        z[i] = (uint32_t)run;
    }
}

/* How far a run may go back: to the newest token that breaks runs. */
static size_t unbroken(const pf_penalties *p, size_t n) {
    const unsigned char *breaks = p->options.dry_breaks;
    for (size_t i = 0; breaks && i < n; i++)
        if (breaks[back(p, i)]) return i;
    return n;
}

static void apply_dry(pf_penalties *p, float *logits) {
    const pf_penalty_options *o = &p->options;
    size_t n = o->dry_last_n < p->used ? o->dry_last_n : p->used, most = unbroken(p, n);
    if (most < o->dry_allowed_length) return;
    measure_runs(p, n);
    for (size_t i = 1; i < n; i++) {
        uint32_t run = p->runs[i] < most ? p->runs[i] : (uint32_t)most;
        int32_t id = back(p, i - 1); /* what followed that run */
        if (run > p->longest[id]) p->longest[id] = run;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t id = back(p, i);
        size_t run = p->longest[id];
        p->longest[id] = 0;
        if (run < o->dry_allowed_length) continue;
        float penalty = powf(o->dry_base, (float)(run - o->dry_allowed_length));
        penalty *= o->dry_multiplier;
        logits[id] -= penalty < 1e9f ? penalty : 1e9f; /* a logit of -inf is no candidate */
    }
}

const float *pf_penalties_apply(pf_penalties *p, const float *logits) {
    memcpy(p->logits, logits, p->n_vocab * sizeof *logits);
    if (counts_wanted(&p->options)) apply_counts(p, p->logits);
    if (dry_wanted(&p->options)) apply_dry(p, p->logits);
    return p->logits;
}
