/* floor 1.11 - FAVOR+ state, many tokens at a time: the same sums as matrix products.
 *
 * Query t of a block reads  phi(q_t) S + sum_{j <= t} (phi(q_t).phi(k_j)) v_j:  the sums from
 * before the block, and the masked products within it (docs/favor.md, "Streaming").
 * Tested against pf_favor_state_step.
 */
#ifndef PF_FAVOR_STATE_BLOCK_H
#define PF_FAVOR_STATE_BLOCK_H

#include "favor_state.h"

/* Raises c to `max` at least, ahead of the keys that reach it. */
void pf_favor_state_raise(pf_favor_state *state, float max);

/* How many of n >= 1 keys with log-scales k_scale [n] one block can take, >= 1: those before c
 * rises so far that the sums of earlier queries would underflow. */
size_t pf_favor_state_fit(const pf_favor_state *state, const float *k_scale, size_t n);

/* Prepares n keys that fit (features phi_k [n, M]) to be read and folded together: raises c, brings
 * S, z and the rows of phi_k to it, and writes to rescale [n] the factor exp(c_now - c_then) that
 * undoes this for query t, which knows only the keys up to t. */
void pf_favor_state_prepare(pf_favor_state *state, float *phi_k, const float *k_scale, size_t n,
                            float *rescale);

/* Query t of n (phi_q [n, M]) reads the sums and the prepared keys 0 ... t with values V [n, D],
 * rows ldv apart. count: keys folded before these. products: scratch of max(n n, D) floats. part as
 * in pf_favor_state_step. */
void pf_favor_state_read(const pf_favor_state *state, const float *phi_k, const float *V,
                         size_t ldv, size_t n, const float *phi_q, const float *rescale,
                         size_t count, float *products, pf_partial part);

/* Folds the n prepared keys; phi_k is overwritten where the state decays. */
void pf_favor_state_fold(pf_favor_state *state, float *phi_k, const float *V, size_t ldv, size_t n);

#endif
