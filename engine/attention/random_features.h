/* floor 1.8 - random features: maps phi with E[phi(x).phi(y)] = exp(x.y), and their projections.
 *
 * Notation (FAVOR.md): D head dim, x = q sqrt(s), y = k sqrt(s), where s is the attention scale
 * (1 / sqrt(D) in most models); w_1 ... w_m the rows of Omega, N(0, I_D) each; M features per head
 * (M = m, or 2 m for maps that use a projection twice). All features carry one log-scale per row,
 * phi(x) = exp(log_scale) * phi, so that neither large norms nor small ones leave float's range.
 */
#ifndef PF_RANDOM_FEATURES_H
#define PF_RANDOM_FEATURES_H

#include "attention_options.h"
#include "kernels.h"
#include "rng.h"

/* One side (queries, or keys) of one head. Borrows all arrays. */
typedef struct pf_features {
    pf_map_kind map;
    size_t D, M;
    float input_scale;      /* x = input_scale * q */
    const float *center;    /* [D] or NULL: x' = transform (x - center), see FAVOR.md 1 ... */
    const float *transform; /* [D, D] or NULL, always together with center */
    const float *tilt;      /* [D] or NULL: log phi += tilt.x + tilt_constant */
    float tilt_constant;
    const float *omega; /* [pf_map_projections(map, M), D] */
    const float *bias;  /* per projection or NULL: see the maps in features.c */
    bool norm_inside;   /* exponential maps: stabilise by max w.x alone, as reference code does, and
                         leave exp(-|x|^2/2) in the feature: what an epsilon is relative to */
    float epsilon;      /* added to every feature after scaling; 0 on the keys' side, whose epsilon
                         depends on the running maximum (favor_state.h) */
} pf_features;

/* Rows of Omega that M features need: M, M / 2, 0 (elu) or M + 1 (normalized: the last is u). */
size_t pf_map_projections(pf_map_kind map, size_t M);
/* False (with a message) if a head of D dims cannot have M features of this map: M must be even
 * for maps in pairs and is always D for elu. *M is set where the map leaves no choice. */
bool pf_map_check_features(pf_map_kind map, size_t D, uint32_t *M, char *message, size_t size);
/* The largest number of features up to M that this map can make of whole projections. */
size_t pf_map_whole_features(pf_map_kind map, size_t M);
/* True if features may be negative, and so the denominator too. */
bool pf_map_is_signed(pf_map_kind map);

/* phi [T, M] and log_scale [T] of T rows x, ldx floats apart. scratch: pf_features_scratch() floats.
 * T == 1 runs on the kernels alone, more tokens as matrix products. */
void pf_features_apply(const pf_features *features, const float *x, size_t ldx, size_t T,
                       float *phi, float *log_scale, float *scratch);
size_t pf_features_scratch(size_t D, size_t max_M, size_t max_T);

/* Omega [m, D]. iid: N(0, 1) entries. orthogonal (Yu et al. 2016; Choromanski et al. 2020, sec. 2.4):
 * blocks of D rows from a Haar-random orthogonal matrix, each row scaled to the length of a fresh
 * N(0, I_D) vector, so that every row alone is still N(0, I_D) and the estimator unbiased.
 * scratch: D * D doubles. */
void pf_projection_draw(pf_rng *rng, pf_projection_kind kind, size_t m, size_t D, float *omega,
                        double *scratch);

/* Turns Omega into what favor++ multiplies by: rows w_j sqrt(1 - 4 A_j), and
 * bias[r] = sum_j A_j w_rj^2 + log(1 - 4 A_j) / 4, with one A <= 0 per dimension (NULL: all 0). */
void pf_projection_propose(size_t m, size_t D, const float *A, float *omega, float *bias);

#endif
