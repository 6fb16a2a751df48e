/* floor 1.11 - one KV head and one token: attention as this engine defines it.
 *
 * The past of the token at position p, for a head with A sinks and a window of W:
 *
 *   sinks    positions 0 ... A-1      exact, kept for good
 *   window   positions p-W+1 ... p    exact, the token itself included
 *   tail     everything between       only as running sums of features, S and z of favor_state.h
 *
 * Sinks and window are a KV cache of A + W slots: sink j is in slot j, any other position j in slot
 * A + (j - A) mod W. When token p arrives, it takes the slot of token p - W, whose key and value
 * are first folded into the tail. With W = 0 the token's own key and value are folded. Softmax and
 * exact heads have W = the whole text, so nothing ever leaves. `local` has no tail: what leaves is
 * gone.
 *
 * RoPE: keys are cached as rotated to their own position, so scores in the window depend on
 * distances below W. A sink is met by a query rotated to min(p, sink_context - 1): within the
 * trained context that is the true distance; beyond, the distance stays the largest one that the
 * model knows. The features of the tail read q and k as rotated (tail_rope), or as they were
 * before: then a key that leaves the window is rotated back.
 *
 * Everything else computes the same rows faster and is tested against this: attention_block.h (many
 * tokens as matrix products), attention_share.h (several threads to a head).
 */
#ifndef PF_ATTENTION_HEAD_H
#define PF_ATTENTION_HEAD_H

#include "favor_state.h"
#include "head_features.h"
#include "history.h"
#include "kv_cache.h"

enum { PF_QUERY_BLOCK = 64 }; /* most tokens that attention_block.c takes together */

/* All that one KV head remembers of a text. */
typedef struct pf_head {
    size_t sinks, window;      /* A, W; an exact head has 0 and SIZE_MAX / 2 */
    pf_kv_cache cache;         /* A + W slots, or as many as the text has tokens */
    pf_favor_state *tails;     /* [features.n_tails] S, z; NULL: nothing leaves, or is forgotten */
    pf_head_features features; /* phi */
    pf_history history;        /* what left; of no length unless redrawn in mid-text */
} pf_head;

/* One thread's working memory. A block of tokens has a row per token, one token has a row for each
 * of the G query heads that share the KV head: rows = max(PF_QUERY_BLOCK, G). */
typedef struct pf_head_scratch {
    float *q, *q_sink;      /* [rows, D] queries, rotated to their position; and for the sinks */
    float *q_features;      /* [rows, D] queries as the tail's features read them */
    float *key;             /* [D] the new key, rotated */
    float *leaving_key;     /* [PF_QUERY_BLOCK, D] keys that leave, as the features read them */
    float *leaving_value;   /* [D] */
    float *phi_q, *phi_k;   /* [rows, M], [PF_QUERY_BLOCK, M] */
    float *k_scale;         /* [PF_QUERY_BLOCK] log-scales of phi_k */
    float *scores;          /* [pf_cached_scratch] */
    float *features;        /* [pf_features_scratch] */
    pf_partial exact, tail; /* [rows] what queries read of the cache, and of the tail */
    float *K, *V;    /* blocks: [largest finite W + PF_QUERY_BLOCK, D] window, then new tokens */
    float *rescale;  /* blocks: [PF_QUERY_BLOCK] see pf_favor_state_prepare */
    float *products; /* blocks: [max(PF_QUERY_BLOCK^2, D)] */
    uint64_t bad_denominators;
} pf_head_scratch;

/* One token at position p: queries q [G, D], key k and value v [D], before RoPE -> out [G, D].
 *
 * A row whose denominator is not positive comes from underflow or a signed map (trig), since the
 * true sum is positive. What the tail says is then noise and is left out; where there is nothing
 * else, the row is v. scratch->bad_denominators counts them. Below 1e-6 M a denominator of a signed
 * map counts as vanished (a key equal to the query, at the running maximum, gives about M / 2);
 * of others, below FLT_MIN. */
void pf_head_append_token(const pf_attention_config *config, pf_head *head,
                          pf_head_scratch *scratch, size_t p, const float *q, const float *k,
                          const float *v, float *out);

/* Its steps, which threads can share.
 *   place   q -> scratch: the queries in the forms in which sinks, window and tail read them
 *   begin   the key and value take their slot, those that leave go to the tail -> what the placed
 *           queries read of the tail
 *   read    what the placed queries read of the slots [first, end)
 *   end     scratch->exact, the parts read of all slots, and what was read of the tail -> out */
void pf_head_place_queries(const pf_attention_config *config, pf_head_scratch *scratch, size_t p,
                           const float *q);
void pf_head_token_begin(const pf_attention_config *config, pf_head *head, pf_head_scratch *scratch,
                         size_t p, const float *k, const float *v, pf_partial tail);
void pf_head_token_read(const pf_attention_config *config, const pf_head *head,
                        pf_head_scratch *scratch, size_t first, size_t end, pf_partial part);
void pf_head_token_end(const pf_attention_config *config, const pf_head *head,
                       pf_head_scratch *scratch, pf_partial tail, const float *v, float *out);

/* The pieces of these that blocks of tokens need, too. */
size_t pf_head_slots_used(const pf_head *head, size_t n_tokens);
size_t pf_head_slot(const pf_head *head, size_t position);
size_t pf_head_folded(const pf_head *head, size_t n_tokens);
void pf_head_rotate(const pf_attention_config *config, size_t position, float *x, bool inverse);
void pf_head_place_query(const pf_attention_config *config, pf_head_scratch *scratch, size_t row,
                         const float *q, size_t position);
float pf_head_denominator_floor(const pf_head *head); /* 0 without a tail */
void pf_head_finish_row(pf_head_scratch *scratch, size_t row, pf_partial tail, float floor,
                        const float *v, size_t D, float *out);

#endif
