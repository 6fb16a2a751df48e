/* floor 2.4 - attention weights: one layer's attention on rows of one's own, and its weights as numbers.
 *
 * For `compare` and `explain`: queries, keys and values come from taps (PF_TAP_Q, _K, _V: before RoPE),
 * of this session or of another one over the same model. The code that answers is the one that runs
 * in every forward pass, so sinks, window, tail, positions and calibration are those of the session.
 */
#ifndef PF_ATTENTION_WEIGHTS_H
#define PF_ATTENTION_WEIGHTS_H

#include "attention.h"
#include "session.h"

/* Attention of one layer over a text of T tokens: q [T, H * D], k, v [T, n_kv_heads * D] -> out
 * [T, H * D]. The session's own text is lost: it is empty before and after, with the features that
 * it began with. Fails without memory, or if the context (softmax) is shorter than T. */
bool pf_attention_replay(pf_session *session, uint32_t layer, const float *q, const float *k,
                         const float *v, size_t T, float *out, pf_error *error);

/* weights [H, T, T]: in row t of head h what token t gives to each token, 0 behind t. Values that are
 * unit vectors expose them, D tokens at a time: token t reads sum_j w_tj e_j = w_t. Rows sum to 1 as far
 * as rounding goes; under signed maps a weight may be negative. T / D replays. */
bool pf_attention_weights(pf_session *session, uint32_t layer, const float *q, const float *k,
                          size_t T, float *weights, pf_error *error);

/* The same replay one token at a time: after each, `observe` is shown what KV head kv_head of the layer
 * then holds: its slots, its sums S and z with their running maximum, its features, and the angles of
 * this position. out [T, H * D] as above. */
typedef void (*pf_head_observer)(void *context, size_t position, const pf_head_view *view);
bool pf_attention_observe(pf_session *session, uint32_t layer, uint32_t kv_head, const float *q,
                          const float *k, const float *v, size_t T, float *out,
                          pf_head_observer observe, void *context, pf_error *error);

#endif
