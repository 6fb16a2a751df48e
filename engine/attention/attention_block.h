/* floor 1.12 - attention of many tokens: one KV head, in blocks that run as matrix products.
 *
 * The same rows as pf_head_append_token gives one by one, to rounding; tested against it.
 */
#ifndef PF_ATTENTION_BLOCK_H
#define PF_ATTENTION_BLOCK_H

#include "attention_head.h"

/* T tokens at positions p, p + 1, ...: queries q [T, G, D], keys k and values v [T, D], before RoPE
 * -> out [T, G, D]. Rows of q and out lie pf_attention_stride_q apart, of k and v
 * pf_attention_stride_kv. */
void pf_head_append_block(const pf_attention_config *config, pf_head *head,
                          pf_head_scratch *scratch, size_t p, size_t T, const float *q,
                          const float *k, const float *v, float *out);

/* The same in two steps for tokens that push nothing out of the window (pf_head_fills says so).
 * Once all T are stored, any thread can read for up to PF_QUERY_BLOCK of them and query head g of
 * the group; p, q, v and out are then those of the first of these. */
bool pf_head_fills(const pf_head *head, size_t p, size_t T);
void pf_head_store(const pf_attention_config *config, pf_head *head, pf_head_scratch *scratch,
                   size_t p, size_t T, const float *k, const float *v);
void pf_head_read(const pf_attention_config *config, const pf_head *head, pf_head_scratch *scratch,
                  size_t p, size_t T, size_t g, const float *q, const float *v, float *out);

/* phi of the T keys in scratch->leaving_key for tail i -> scratch->phi_k, k_scale. */
void pf_head_map_leaving_keys(const pf_attention_config *config, const pf_head *head,
                              pf_head_scratch *scratch, size_t i, size_t T);

#endif
