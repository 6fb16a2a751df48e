/* floor 1.9 - exact attention: softmax over the keys in the cache, in one pass.
 *
 * Keys K and values V are matrices of n rows and D columns, F32 or F16 (both of one type). The
 * running maximum of Milakov & Gimelshein 2018 (online softmax) makes one pass enough, whatever n
 * is.
 */
#ifndef PF_ATTENTION_EXACT_H
#define PF_ATTENTION_EXACT_H

#include "model.h"
#include "partial_softmax.h"
#include "tensor.h"

#include <stddef.h>

/* One token, G queries q [G, D] that share keys: row g of part over all n keys (n >= 1; order does
 * not matter). The first n_sinks keys are met by q_sink [G, D] instead (the same queries rotated to
 * another position). scores: scratch [G, n]. */
void pf_exact_token(const float *q, const float *q_sink, size_t G, pf_matrix K, pf_matrix V,
                    size_t n_sinks, pf_score score, float *scores, pf_partial part);

/* Floats of scratch for up to T queries in pf_exact_rows. */
size_t pf_exact_scratch(size_t T, size_t D);

/* Adds to part what the T queries q [T, D] see of n keys: query t sees those from
 * max(0, first + t) to min(n, last + t) (exclusive). */
void pf_exact_rows(const float *q, size_t T, pf_matrix K, pf_matrix V, ptrdiff_t first,
                   ptrdiff_t last, pf_score score, float *scratch, pf_partial part);

#endif
