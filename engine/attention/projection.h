/* floor 1.8 - projections: Omega, whose rows w_1 ... w_m random features project on.
 *
 * Every row is N(0, I_D), drawn from the same seed to the same numbers on every machine.
 */
#ifndef PF_PROJECTION_H
#define PF_PROJECTION_H

#include "attention_options.h"
#include "rng.h"

#include <stddef.h>

/* Omega [m, D]. iid: N(0, 1) entries. orthogonal (Yu et al. 2016; Choromanski et al. 2020, sec.
 * 2.4): blocks of D rows from a Haar-random orthogonal matrix, each row scaled to the length of a
 * fresh N(0, I_D) vector, so that every row alone is still N(0, I_D) and the estimator unbiased.
 * scratch: D * D doubles. */
void pf_projection_draw(pf_rng *rng, pf_projection_kind kind, size_t m, size_t D, float *omega,
                        double *scratch);

/* Turns Omega into what favor++ multiplies by: rows w_j sqrt(1 - 4 A_j), and
 * bias[r] = sum_j A_j w_rj^2 + log(1 - 4 A_j) / 4, with one A <= 0 per dimension (NULL: all 0). */
void pf_projection_propose(size_t m, size_t D, const float *A, float *omega, float *bias);

#endif
