/* floor 2.4 - attention weights: one layer's attention on rows that you supply, and its weights.
 *
 * For `compare` and `explain`. Queries, keys and values come from taps (PF_TAP_Q, _K, _V: before
 * RoPE) of this session or of another one with the same model. The code is that of every forward
 * pass, so sinks, window, tail, positions and calibration are those of the session.
 */
#ifndef PF_ATTENTION_WEIGHTS_H
#define PF_ATTENTION_WEIGHTS_H

#include "attention.h"
#include "session.h"

/* Attention of one layer over a text of T tokens: q [T, H * D], k, v [T, n_kv_heads * D] -> out
 * [T, H * D]. The session loses its own text: it is empty afterwards, with the features that it
 * began with. Fails if memory runs out or the context (softmax) is shorter than T. */
bool pf_attention_replay(pf_session *session, uint32_t layer, const float *q, const float *k,
                         const float *v, size_t T, float *out, pf_error *error);

/* weights [H, T, T]: row t of head h is the weight that token t gives to each token, 0 after t.
 * Replays with unit vectors as values read them off, D tokens at a time: out_t = sum_j w_tj e_j.
 * Takes T / D replays. Rows sum to 1 up to rounding; with signed maps a weight may be negative. */
bool pf_attention_weights(pf_session *session, uint32_t layer, const float *q, const float *k,
                          size_t T, float *weights, pf_error *error);

/* The same replay, one token at a time. After each token, `observe` sees the state of the layer's
 * KV head kv_head: its KV cache, its sums S and z with their running maximum, its features, and
 * the RoPE angles of this position. out [T, H * D] as above. */
typedef void (*pf_head_observer)(void *context, size_t position, const pf_head_view *view);
bool pf_attention_observe(pf_session *session, uint32_t layer, uint32_t kv_head, const float *q,
                          const float *k, const float *v, size_t T, float *out,
                          pf_head_observer observe, void *context, pf_error *error);

#endif
