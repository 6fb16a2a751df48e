/* floor 1.9 - the tail: everything a head has forgotten exactly, as running sums of features.
 *
 *   S = sum_j phi(k_j) v_j^T  [M, D],   z = sum_j phi(k_j)  [M]     (Choromanski et al. 2020, eq. 11 and 13;
 *   Katharopoulos et al. 2020, eq. 18 and 19)
 *
 * kept relative to a running maximum c of the keys' log-scales: what is stored is S exp(-c), z exp(-c).
 * A key that raises c scales both down, so nothing overflows and nothing looks into the future.
 * With a kernel epsilon a feature of a key is phi' = exp(log phi - c) + epsilon, where c is the
 * maximum so far; the sums are kept without it, and sum_j v_j beside them (FAVOR.md, Streaming). An epsilon
 * is there for checkpoints trained with reference code, so the denominator gets its 1e-6 too:
 * q'.(sum_j k'_j + 1e-6), with features M^-1/2 (...) as that code has them.
 *
 * A tail may forget: with keep < 1 every new key first shrinks all older ones by that factor, so that
 * they weigh keep^age and never more than 1 / (1 - keep) keys together. This is no longer softmax's sum,
 * and on purpose: a model trained on short texts has never seen thousands of keys in one row
 * (gated linear attention with one constant gate; cf. Peng et al. 2021, Random Feature Attention).
 */
#ifndef PF_FAVOR_STATE_H
#define PF_FAVOR_STATE_H

#include "partial_softmax.h"
#include "random_features.h"

/* A view into the session's state; all memory is the session's. */
typedef struct pf_favor_state {
    size_t M, D;
    float epsilon;    /* of the keys' features; 0: value_sum is not kept */
    float keep;       /* what a new key leaves of the older ones; 1: nothing is forgotten */
    float *S, *z;     /* [M, D], [M] */
    float *top;       /* [1] c; -INFINITY while the tail is empty */
    float *value_sum; /* [D] or NULL */
} pf_favor_state;

size_t pf_favor_state_floats(size_t M, size_t D, float epsilon); /* state of one tail */
pf_favor_state pf_favor_state_at(float *state, size_t M, size_t D, float epsilon, float keep);
void pf_favor_state_reset(pf_favor_state *tail);

/* In `part`, scale is on entry the log-scale of the queries' features, and on return that of out and
 * den. den may be <= 0 for signed maps: the caller's business.
 *
 * One token: folds the key (phi_k [M] with its log-scale, value v [D]) and reads with G queries
 * phi_q [G, M]. count: keys folded so far, this one included. phi_k is overwritten. */
void pf_favor_state_step(pf_favor_state *tail, float *phi_k, float k_scale, const float *v,
                         const float *phi_q, size_t G, size_t count, pf_partial part);

/* Raises c to `top` at least, before keys that reach it have come. */
void pf_favor_state_raise(pf_favor_state *tail, float top);

/* How many of n >= 1 keys with log-scales k_scale [n] can be folded together, >= 1: those before c
 * rises so far that earlier queries would lose their sums to underflow. */
size_t pf_favor_state_fit(const pf_favor_state *tail, const float *k_scale, size_t n);
/* Prepares n keys that fit (features phi_k [n, M]) to be read and folded together: raises c, brings
 * S, z and the rows of phi_k to it, and writes to drop [n] the factor exp(c_now - c_then) that undoes
 * this for what query t, who comes with key t, may see. */
void pf_favor_state_prepare(pf_favor_state *tail, float *phi_k, const float *k_scale, size_t n,
                            float *drop);
/* Query t of n reads the sums and the prepared keys 0 ... t. V [n, D] rows ldv apart; A: scratch of
 * max(n n, D) floats. count: keys folded before these. */
void pf_favor_state_read(const pf_favor_state *tail, const float *phi_k, const float *V, size_t ldv,
                         size_t n, const float *phi_q, const float *drop, size_t count, float *A,
                         pf_partial part);
/* Folds the n prepared keys; phi_k is overwritten where the tail forgets. */
void pf_favor_state_fold(pf_favor_state *tail, float *phi_k, const float *V, size_t ldv, size_t n);

#endif
