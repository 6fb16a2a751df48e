/* floor 1.10 - one KV head at work: the three parts of a token's past, and the queries that read them.
 *
 * The past of the token at position p, for a head with S sinks and a window of W:
 *
 *   sinks     positions 0 ... S-1                 exact, never forgotten
 *   window    positions p-W+1 ... p               exact, the current token included
 *   tail      everything between                  the running sums of favor_state.h
 *
 * Keys and values of sinks and window live in slots: slot j for a sink j < S, slot S + (j - S) mod W for
 * any other position j. When token p arrives it takes the slot of token p - W, which is first folded
 * into the tail (W = 0: the token itself is folded). Softmax is W = the whole context: nothing is
 * ever folded. `local` folds nothing either: what leaves the window is forgotten.
 *
 * Positions under RoPE: keys are stored turned to their own position, so window scores depend on
 * distances below W only. A sink is met by a query turned to min(p, context - 1): up to the trained
 * context its distance is the true one, beyond it stays the largest one that the model knows, and
 * the angle does not run away. The tail's features read q and k as turned (tail_rope) or as they were
 * before (a key leaving the window is turned back).
 */
#ifndef PF_ATTENTION_HEAD_H
#define PF_ATTENTION_HEAD_H

#include "attention_exact.h"
#include "kv_cache.h"
#include "favor_state.h"
#include "head_features.h"
#include "rope.h"

enum { PF_QUERY_BLOCK = 64 }; /* tokens of a prefill that a head takes together */

/* What all heads share. */
typedef struct pf_head_shape {
    size_t D, G;                /* head dim; queries per KV head */
    size_t stride_q, stride_kv; /* floats from one token to the next: H * D, n_kv_heads * D */
    size_t sinks;
    size_t context; /* trained context: how far a sink can seem to be */
    float scale;    /* of the scores */
    bool has_tail, tail_rope;
    pf_position_kind position;
    size_t pairs; /* of RoPE: dims / 2 */
    const float
        *angles; /* ring of rows [angle_rows, 2 pairs]; position p in row p mod angle_rows */
    size_t angle_rows;
    const float *sink_angles; /* [2 pairs] of position context - 1 */
} pf_head_shape;

/* Keys and values that a redraw in mid-text needs, in the order in which they were folded. */
typedef struct pf_history {
    float *keys, *values; /* [capacity, D] as the features read them; NULL: not kept */
    size_t count, capacity;
} pf_history;

typedef struct pf_head {
    size_t window;         /* W */
    pf_kv_cache kept;      /* S + W of them */
    pf_favor_state *tails; /* [features.n_tails] */
    pf_head_features features;
    pf_history history;
} pf_head;

/* One member's working memory; sizes for the largest head. */
typedef struct pf_head_scratch {
    float *q, *q_sink;     /* [max(PF_QUERY_BLOCK, G), D] */
    float *q_features;     /* [max(PF_QUERY_BLOCK, G), D] queries as the tail reads them */
    float *K, *V;          /* [max W + PF_QUERY_BLOCK, D] window and new tokens, in order */
    float *K_folded;       /* [PF_QUERY_BLOCK, D] keys leaving the window, as the tail reads them */
    float *phi_q, *phi_k;  /* [max(PF_QUERY_BLOCK, G), M], [PF_QUERY_BLOCK, M] */
    float *k_scale, *drop; /* [PF_QUERY_BLOCK] */
    float *products;       /* [PF_QUERY_BLOCK^2, at least D] */
    float *scores;         /* [max(pf_exact_scratch, G * max slots)] */
    float *features;       /* pf_features_scratch */
    pf_partial exact, tail; /* [max(PF_QUERY_BLOCK, G)] rows */
    uint64_t bad_denominators;
} pf_head_scratch;

/* Floats of working memory for these largest sizes, and the views into them. */
size_t pf_head_scratch_floats(const pf_head_shape *shape, size_t max_slots, size_t max_M);
pf_head_scratch pf_head_scratch_at(float *memory, const pf_head_shape *shape, size_t max_slots,
                                   size_t max_M);

/* T tokens at position p, p + 1, ...: their queries q [T, G, D], keys k and values v [T, D] (rows
 * stride_q and stride_kv apart, before RoPE) -> out [T, G, D] (rows stride_q apart). One token runs
 * without matrix products; more run in blocks of at most PF_QUERY_BLOCK. Both give the same rows to
 * rounding.
 *
 * A row whose denominator is not positive: only signed maps (trig) and underflow produce one. The
 * true sum is positive, so what the tail claims is then noise: it is dropped and the exact part
 * answers alone; where there is no exact part, the row is the token's own value. Counted in
 * scratch->bad_denominators. For signed maps a denominator below 1e-6 M (of a single key that equals
 * the query, at the running maximum) counts as vanished, for others one below float's normal range. */
void pf_head_append(const pf_head_shape *shape, pf_head *head, pf_head_scratch *scratch, size_t p,
                    size_t T, const float *q, const float *k, const float *v, float *out);

/* The same in steps that a team takes together, with a barrier between them (attention_share.h).
 *
 * Tokens that push nothing out: once all members have stored what is theirs to store, any member can
 * read for any of the T <= PF_QUERY_BLOCK tokens at p and for query head g of the group. q, v and out
 * are those of the first of these tokens. */
bool pf_head_fills(const pf_head_shape *shape, const pf_head *head, size_t p, size_t T);
void pf_head_store(const pf_head_shape *shape, pf_head *head, pf_head_scratch *scratch, size_t p,
                   size_t T, const float *k, const float *v);
void pf_head_read(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *scratch,
                  size_t p, size_t T, size_t g, const float *q, const float *v, float *out);
/* One token: one member begins, which stores the key and leaves in `tail` what the queries read of
 * the tail; any members read the slots [begin, end) of those that the token sees, into parts of their
 * own; one member ends, with all n parts [G rows each], `stride` floats from one to the next. */
size_t pf_head_slots_seen(const pf_head_shape *shape, const pf_head *head, size_t p);
void pf_head_token_begin(const pf_head_shape *shape, pf_head *head, pf_head_scratch *scratch,
                         size_t p, const float *q, const float *k, const float *v, pf_partial tail);
void pf_head_token_read(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *scratch,
                        size_t p, size_t begin, size_t end, const float *q, pf_partial part);
void pf_head_token_end(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *scratch,
                       pf_partial parts, size_t stride, size_t n, pf_partial tail, const float *v,
                       float *out);

/* Raises the stabiliser of the tails to the largest that T keys from position p on will have
 * (pf_attention_options.noncausal_stabilizer); for heads without sinks and window. */
void pf_head_noncausal_stabilizer(const pf_head_shape *shape, pf_head *head,
                                  pf_head_scratch *scratch, size_t p, size_t T, const float *k);

/* Sums over the history again, after the features have changed. */
void pf_head_rebuild(const pf_head_shape *shape, pf_head *head, pf_head_scratch *scratch);

#endif
