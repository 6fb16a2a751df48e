/* floor 2.3 - AdamW: from a gradient to a step (Loshchilov & Hutter 2019, algorithm 2).
 *
 *   m = beta1 m + (1 - beta1) g              m^ = m / (1 - beta1^t)
 *   v = beta2 v + (1 - beta2) g^2            v^ = v / (1 - beta2^t)
 *   p -= rate (m^ / (sqrt(v^) + tiny) + decay p)
 * with g first scaled down to a norm of at most `clip`.
 */
#ifndef PF_ADAMW_H
#define PF_ADAMW_H

#include "real.h"
#include "threads.h"

typedef struct pf_adamw {
    double beta1, beta2;
    double decay; /* of matrices only */
    double clip;  /* largest norm of the gradient; 0: any */
} pf_adamw;

/* Four blocks of n numbers, of which the first n_decayed decay. */
typedef struct pf_adamw_state {
    pf_real *weights, *gradient, *m, *v;
    size_t n, n_decayed;
} pf_adamw_state;

/* Step number t, from 1. Returns the gradient's norm before clipping; if that is not finite,
 * nothing is changed. Sums are in one order, whatever the size of the team. partial:
 * pf_adamw_partials doubles. */
double pf_adamw_step(const pf_adamw *options, const pf_adamw_state *state, double rate, size_t t,
                     pf_team *team, double *partial);
size_t pf_adamw_partials(size_t n);

/* The rate of step t of `steps`, from 0: rises linearly over warm_up steps, then falls to 0 along a
 * cosine. */
double pf_cosine_rate(double rate, size_t t, size_t warm_up, size_t steps);

#endif
