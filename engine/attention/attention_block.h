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

/* The same in steps that threads can share, for a head whose tail takes no key meanwhile
 * (pf_head_shares says so). Rows of a block are to the bit those of pf_head_append_block if the
 * blocks are its own: each as long as pf_head_block says, from p on.
 *   store   keys and values take their slots, except those that others of the T push out again.
 *           The first pf_head_room of the T come before all reads, the others after them
 *   gather  once the window is full at position p: what the block's queries see of it ->
 *           scratch->K, V. k, v: those of position `stored`, before which all are in their slots
 *   read    the block's queries of query head g of the group -> out; q, v and out are those of the
 *           block's first token */
bool pf_head_shares(const pf_head *head, size_t p, size_t T);
size_t pf_head_room(const pf_head *head, size_t p, size_t T); /* tokens that push nothing out */
size_t pf_head_block(const pf_head *head, size_t p, size_t T);
void pf_head_store(const pf_attention_config *config, const pf_head *head, pf_head_scratch *scratch,
                   size_t p, size_t T, const float *k, const float *v);
void pf_head_gather(const pf_attention_config *config, const pf_head *head,
                    pf_head_scratch *scratch, size_t stored, size_t p, size_t T, const float *k,
                    const float *v);
void pf_head_read(const pf_attention_config *config, const pf_head *head, pf_head_scratch *scratch,
                  size_t p, size_t T, size_t g, const float *q, const float *v, float *out);

/* phi of the T keys in scratch->leaving_key for tail i -> scratch->phi_k, k_scale. */
void pf_head_map_leaving_keys(const pf_attention_config *config, const pf_head *head,
                              pf_head_scratch *scratch, size_t i, size_t T);

#endif
