/* floor 2.2 - sampler: logits -> the next token, greedy or random, seeded and reproducible.
 *
 * A candidate's weight is its probability up to a common factor: exp((logit - max) / temperature),
 * so that of the best is exactly 1. Filters that need an order take candidates one by one from a
 * max-heap, which costs O(V) to build and O(log V) for each candidate kept, usually few. (The C
 * library's qsort sorts all of them, and may allocate.) */
#include "sampler.h"

#include "memory.h"
#include "penalties.h"

#include <math.h>

typedef struct {
    float weight;
    int32_t id;
} candidate;

struct pf_sampler {
    pf_sampler_options options;
    pf_rng rng;
    size_t n_vocab;
    candidate *candidates;   /* [n_vocab] */
    pf_penalties *penalties; /* NULL: none */
};

pf_sampler_options pf_sampler_options_default(void) {
    return (pf_sampler_options){.temperature = 1.0f, .top_p = 0.9f, .seed = 1};
}

pf_sampler *pf_sampler_new(const pf_sampler_options *options, size_t n_vocab, pf_error *error) {
    if (n_vocab == 0 || n_vocab > INT32_MAX) {
        pf_fail(error, "a sampler needs a vocabulary of 1 to %d tokens, not %zu", INT32_MAX,
                n_vocab);
        return NULL;
    }
    if (!isfinite(options->temperature) || options->temperature < 0) {
        pf_fail(error, "the temperature is %g; it must be 0 (greedy) or more",
                (double)options->temperature);
        return NULL;
    }
    if (!(options->top_p >= 0 && options->top_p <= 1 && options->min_p >= 0 &&
          options->min_p <= 1)) {
        pf_fail(error, "top-p is %g and min-p is %g; both must be from 0 to 1",
                (double)options->top_p, (double)options->min_p);
        return NULL;
    }
    pf_sampler *sampler = pf_calloc(1, sizeof *sampler, "the sampler", error);
    if (!sampler) return NULL;
    sampler->options = *options;
    sampler->n_vocab = n_vocab;
    sampler->candidates = pf_calloc(n_vocab, sizeof(candidate), "the sampler", error);
    bool penalised = pf_penalties_wanted(&options->penalties);
    if (sampler->candidates && penalised)
        sampler->penalties = pf_penalties_new(&options->penalties, n_vocab, error);
    if (!sampler->candidates || (penalised && !sampler->penalties)) {
        pf_sampler_free(sampler);
        return NULL;
    }
    pf_rng_seed(&sampler->rng, options->seed, 0);
    return sampler;
}

void pf_sampler_free(pf_sampler *sampler) {
    if (!sampler) return;
    pf_penalties_free(sampler->penalties);
    pf_free(sampler->candidates);
    pf_free(sampler);
}

/* Higher weights first; the lower id first among equals, so that the order is the same
 * everywhere. */
static bool before(candidate a, candidate b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static void sift_down(candidate *heap, size_t n, size_t root) {
    candidate moved = heap[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moved)) break;
        heap[root] = heap[child];
    }
    heap[root] = moved;
}

static void heapify(candidate *heap, size_t n) {
    for (size_t root = n / 2; root-- > 0;) sift_down(heap, n, root);
}

/* Moves the best of heap [n] to heap[n - 1]; the n - 1 before it remain a heap. */
static candidate pop(candidate *heap, size_t n) {
    candidate best = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = best;
    sift_down(heap, n - 1, 0);
    return best;
}

static double sum_weights(const candidate *candidates, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)candidates[i].weight;
    return sum;
}

/* Moves the candidates that weigh at least `threshold` to the front; returns their number. */
static size_t keep_heavier(candidate *candidates, size_t n, float threshold) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (candidates[i].weight >= threshold) candidates[kept++] = candidates[i];
    return kept;
}

/* Moves the k best of candidates [n] to the end; returns the first of them. */
static candidate *keep_top_k(candidate *candidates, size_t n, size_t k) {
    heapify(candidates, n);
    for (size_t taken = 0; taken < k; taken++) pop(candidates, n - taken);
    return candidates + (n - k);
}

/* Moves the fewest best candidates that together reach `target` to the end; returns the first of
 * them. */
static candidate *keep_top_p(candidate *candidates, size_t n, double target, size_t *kept) {
    heapify(candidates, n);
    size_t taken = 0;
    for (double reached = 0; taken < n && (taken == 0 || reached < target); taken++)
        reached += (double)pop(candidates, n - taken).weight;
    *kept = taken;
    return candidates + (n - taken);
}

static int32_t draw(pf_rng *rng, const candidate *candidates, size_t n) {
    double target = pf_rng_uniform(rng) * sum_weights(candidates, n), reached = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        reached += (double)candidates[i].weight;
        if (target < reached) return candidates[i].id;
    }
    return candidates[n - 1].id;
}

/* The id of the largest logit, the lowest id among equals; -1 if one is NaN or all are -inf. */
static int32_t greedy(const float *logits, size_t n) {
    int32_t best = -1;
    float best_logit = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isnan(logits[i])) return -1;
        if (logits[i] > best_logit) {
            best_logit = logits[i];
            best = (int32_t)i;
        }
    }
    return best;
}

/* Fills in the candidates, leaving out those whose weight is 0; returns their number. */
static size_t weigh(pf_sampler *sampler, const float *logits, float max) {
    size_t n = 0;
    for (size_t i = 0; i < sampler->n_vocab; i++) {
        float weight = expf((logits[i] - max) / sampler->options.temperature);
        if (weight > 0) sampler->candidates[n++] = (candidate){weight, (int32_t)i};
    }
    return n;
}

int32_t pf_sampler_next(pf_sampler *sampler, const float *logits) {
    const pf_sampler_options *options = &sampler->options;
    if (sampler->penalties) logits = pf_penalties_apply(sampler->penalties, logits);
    int32_t best = greedy(logits, sampler->n_vocab);
    if (best < 0 || options->temperature == 0 || isinf(logits[best])) return best;

    candidate *kept = sampler->candidates;
    size_t n = weigh(sampler, logits, logits[best]);
    if (options->top_k > 0 && options->top_k < n) {
        kept = keep_top_k(kept, n, options->top_k);
        n = options->top_k;
    }
    if (options->top_p < 1) {
        /* A candidate that top-p keeps weighs at least an equal share of what lies beyond p: those
         * before it do not reach p, so it and the lighter ones after it make up more than 1 - p.
         * Drop all others first (0.999: rounding). */
        double p = (double)options->top_p, total = sum_weights(kept, n);
        double share = n > 1 ? 0.999 * (1 - p) * total / (double)(n - 1) : 0;
        n = keep_heavier(kept, n, share < 1 ? (float)share : 1);
        kept = keep_top_p(kept, n, p * total, &n);
    }
    if (options->min_p > 0) n = keep_heavier(kept, n, options->min_p);
    return draw(&sampler->rng, kept, n);
}

void pf_sampler_accept(pf_sampler *sampler, int32_t id) {
    if (sampler->penalties) pf_penalties_push(sampler->penalties, id);
}

void pf_sampler_forget(pf_sampler *sampler) {
    if (sampler->penalties) pf_penalties_clear(sampler->penalties);
}

size_t pf_sampler_recent(const pf_sampler *sampler, int32_t *ids, size_t most) {
    return sampler->penalties ? pf_penalties_recent(sampler->penalties, ids, most) : 0;
}

pf_rng *pf_sampler_rng(pf_sampler *sampler) { return &sampler->rng; }
