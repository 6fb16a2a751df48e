/* floor 1.10 - cached attention: exact attention over slots of a KV cache, run by run. */
#include "cached_attention.h"

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

size_t pf_cached_scratch(size_t G, size_t slots, size_t T, size_t D) {
    return larger(G * (larger(slots, PF_KV_CHUNK) + D + 2), pf_exact_scratch(T, D));
}

void pf_cached_token(const pf_kv_cache *cache, size_t first, size_t end, size_t n_sinks,
                     const float *q, const float *q_sink, size_t G, pf_score score, float *scratch,
                     pf_partial part) {
    size_t D = cache->D, n = pf_kv_cache_run(cache, first, end - first);
    if (n == 0) {
        pf_partial_clear(part, G, D);
        return;
    }
    pf_exact_token(q, q_sink, G, pf_kv_cache_keys(cache, first, n),
                   pf_kv_cache_values(cache, first, n), n_sinks, score, scratch, part);
    float *scores = scratch + G * (D + 2);
    pf_partial more = {scratch, scratch + G * D, scratch + G * D + G};
    for (first += n; first < end; first += n) {
        n_sinks = n_sinks > n ? n_sinks - n : 0;
        n = pf_kv_cache_run(cache, first, end - first);
        pf_exact_token(q, q_sink, G, pf_kv_cache_keys(cache, first, n),
                       pf_kv_cache_values(cache, first, n), n_sinks, score, scores, more);
        for (size_t g = 0; g < G; g++)
            pf_partial_add(pf_partial_row(part, g, D), pf_partial_row(more, g, D), D);
    }
}

void pf_cached_rows(const pf_kv_cache *cache, size_t first, size_t end, const float *q, size_t T,
                    ptrdiff_t last, pf_score score, float *scratch, pf_partial part) {
    for (size_t n; first < end; first += n, last -= (ptrdiff_t)n) {
        n = pf_kv_cache_run(cache, first, end - first);
        pf_exact_rows(q, T, pf_kv_cache_keys(cache, first, n), pf_kv_cache_values(cache, first, n),
                      -(ptrdiff_t)T, last, score, scratch, part);
    }
}
