/* floor 1.10 - cached attention: exact attention over slots of a KV cache, run by run. */
#ifndef PF_CACHED_ATTENTION_H
#define PF_CACHED_ATTENTION_H

#include "attention_exact.h"
#include "kv_cache.h"

/* Floats of scratch for G queries of one token that read up to `slots` slots of a fixed cache, or
 * any number of a growing one (pf_cached_token), or for T queries (pf_cached_rows). */
size_t pf_cached_scratch(size_t G, size_t slots, size_t T, size_t D);

/* pf_exact_token over the slots [first, end), of which the first n_sinks are met by q_sink. No
 * slots: an empty part. */
void pf_cached_token(const pf_kv_cache *cache, size_t first, size_t end, size_t n_sinks,
                     const float *q, const float *q_sink, size_t G, pf_score score, float *scratch,
                     pf_partial part);

/* pf_exact_rows over the slots [first, end), counted from `first`: adds to part what T queries see,
 * query t those up to first + last + t (exclusive). */
void pf_cached_rows(const pf_kv_cache *cache, size_t first, size_t end, const float *q, size_t T,
                    ptrdiff_t last, pf_score score, float *scratch, pf_partial part);

#endif
