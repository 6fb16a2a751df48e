/* floor 1.9 - FAVOR+ state: all the keys and values that left the window, as two sums of features.
 *
 *   S = sum_j phi(k_j) v_j^T   [M, D]   (Choromanski et al. 2020, sec. 2.2 and 2.5;
 *   z = sum_j phi(k_j)         [M]       Katharopoulos et al. 2020, eq. 18 and 19)
 *   a query reads phi(q) S / (phi(q).z)
 *
 * The sums are stored relative to the running maximum c of the keys' log-scales, as S exp(-c) and
 * z exp(-c). A key that raises c scales both down: nothing overflows, and no later key matters.
 *
 * Kernel epsilon, for checkpoints trained with reference code: a key's feature is exp(log phi - c)
 * + epsilon, with c the maximum when the query reads, and the denominator is q'.(sum_j k'_j +
 * 1e-6). S and z are kept without epsilon, and sum_j v_j beside them (docs/favor.md, "Streaming").
 *
 * Decay: with decay < 1 every new key first shrinks all older ones by that factor, so together they
 * never weigh more than 1 / (1 - decay) keys. This is not softmax's sum, and on purpose: a model
 * trained on short texts has never seen thousands of keys in one row (gated linear attention with
 * one constant gate; compare Peng et al. 2021, Random Feature Attention).
 */
#ifndef PF_FAVOR_STATE_H
#define PF_FAVOR_STATE_H

#include "partial_softmax.h"
#include "random_features.h"

/* A view into the session's state, which owns the memory. */
typedef struct pf_favor_state {
    size_t M, D;
    float epsilon;      /* of the keys' features; 0: value_sum is not kept */
    float decay;        /* what a new key leaves of the older ones; 1: all of it */
    float *S, *z;       /* [M, D], [M] */
    float *running_max; /* [1] c; -INFINITY while the state is empty */
    float *value_sum;   /* [D] or NULL */
} pf_favor_state;

size_t pf_favor_state_floats(size_t M, size_t D, float epsilon); /* of memory */
pf_favor_state pf_favor_state_at(float *memory, size_t M, size_t D, float epsilon, float decay);
void pf_favor_state_reset(pf_favor_state *state);

/* One token: adds the key (phi_k [M] with its log-scale, value v [D]), then reads with the G
 * queries phi_q [G, M]. count: keys added so far, this one included. phi_k is overwritten.
 * part.log_scale [G] is on entry the log-scale of the queries' features, on return that of part.out
 * [G, D] and part.den [G]. den may be <= 0 for signed maps; the caller handles that. */
void pf_favor_state_step(pf_favor_state *state, float *phi_k, float k_scale, const float *v,
                         const float *phi_q, size_t G, size_t count, pf_partial part);

/* out, den of one row += the share that epsilon has in it; `count` keys with the sum of their
 * values. */
void pf_favor_state_add_epsilon(const pf_favor_state *state, const float *value_sum, size_t count,
                                const float *phi_q, float *out, float *den);

/* exp(from - to) for from <= to, also where from is -INFINITY: brings an empty sum to any scale. */
static inline float pf_rescale(float from, float to) {
    return from == -INFINITY ? 0 : expf(from - to);
}

#endif
