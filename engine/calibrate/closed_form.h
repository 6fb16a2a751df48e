/* floor 2.4 - closed form: centres, balancing maps and proposal of one KV head.
 *
 * docs/favor.md, "Pretrained models: calibration". Write q.k = (q-a).(k-b) + q.b + a.(k-b) for any
 * a and b: q.b is the same for all keys, so softmax does not depend on it, and a.(k-b) is an exact
 * factor of a key. Nor does q.k change under q' = A_q (q-a), k' = A_k (k-b) with A_q^T A_k = I.
 * The variance of random features grows as exp|q'+k'|^2, so a and b are the means, and the maps
 * make both covariances the same diagonal matrix, which minimises the trace of their sum:
 *
 *   cov q = L_q L_q^T,  cov k = L_k L_k^T,  L_q^T L_k = U S V^T
 *   A_q = S^1/2 U^T L_q^-1,  A_k = S^1/2 V^T L_k^-1      both covariances become S
 *
 * favor++ then has one parameter per dimension (Likhosherstov et al. 2022, sec. 3.1, for the
 * diagonal case of 2023), with f = mean q'_j^2 + mean k'_j^2:
 *
 *   A_j = (1 - 2f - sqrt((2f+1)^2 + 8f)) / 16
 */
#ifndef PF_CLOSED_FORM_H
#define PF_CLOSED_FORM_H

#include "error.h"

#include <stddef.h>

/* The result, in memory of the caller. */
typedef struct pf_closed_form {
    float *q_center, *k_center, *proposal; /* [D] a, b, A */
    float *q_map, *k_map;                  /* [D, D] A_q, A_k */
    /* For the report. Z = mean |x+y|^2 over independent queries x and keys y. variance: the log of
     * the relative variance, at that Z, of the estimate of exp(x.y) by one iid feature. */
    double Z_before, Z_after, variance_before, variance_after;
} pf_closed_form;

/* q [n_q, D] and k [n_k, D], both scaled by sqrt(attention scale); n_q, n_k >= 1. Every direction
 * gets a little extra variance (1e-6 of the mean; more if a text repeats itself so much that this
 * does not suffice), so that the covariances can be inverted. Fails if a number is NaN or
 * infinite. */
bool pf_closed_form_fit(const float *q, size_t n_q, const float *k, size_t n_k, size_t D,
                        pf_closed_form *result, pf_error *error);

#endif
