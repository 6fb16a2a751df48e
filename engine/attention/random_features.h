/* floor 1.8 - random features: maps phi with E[phi(x).phi(y)] = exp(x.y).
 *
 * relu and elu estimate other positive kernels, normalized is fitted; random_features.c has each.
 *
 * Notation (docs/favor.md, "Notation"): D head dim; x = q sqrt(s), y = k sqrt(s), with s the scale
 * of the scores (1 / sqrt(D) in most models); w_1 ... w_m the rows of Omega, N(0, I_D) each; M
 * features per head (pf_map_projections says how many rows of Omega they take). What is stored of
 * phi(x) is f with phi(x) = exp(log_scale) f, so that no norm, large or small, leaves the range of
 * floats.
 */
#ifndef PF_RANDOM_FEATURES_H
#define PF_RANDOM_FEATURES_H

#include "attention_options.h"
#include "kernels.h"

/* One side (queries, or keys) of one head. Borrows all arrays. */
typedef struct pf_features {
    pf_map_kind map;
    size_t D, M;
    float input_scale;      /* x = input_scale * q */
    const float *center;    /* [D] or NULL: x' = transform (x - center) ... */
    const float *transform; /* [D, D] or NULL; only with center */
    const float *tilt;      /* [D] or NULL: log phi += tilt.x + tilt_constant */
    float tilt_constant;
    const float *omega; /* [pf_map_projections(map, M), D] */
    const float *bias;  /* per projection or NULL: what for, says each map in random_features.c */
    /* exponential maps: stabilise by max w.x alone, as reference code does, which leaves
     * exp(-|x|^2/2) in the feature; an epsilon is relative to that */
    bool norm_inside;
    float epsilon; /* added to every feature after scaling; 0 for keys, whose epsilon depends on the
                    * running maximum (favor_state.h) */
} pf_features;

/* Rows of Omega for M features: M, M / 2, 0 (elu) or M + 1 (normalized: the last is t). */
size_t pf_map_projections(pf_map_kind map, size_t M);
/* False (with a message) if a head of D dims cannot have M features of this map: M must be even
 * for maps in pairs and is always D for elu. *M is set where the map leaves no choice. */
bool pf_map_check_features(pf_map_kind map, size_t D, uint32_t *M, char *message, size_t size);
/* The largest number of features up to M that this map can make of whole projections. */
size_t pf_map_whole_features(pf_map_kind map, size_t M);
/* True if features may be negative, and so the denominator too. */
bool pf_map_is_signed(pf_map_kind map);

/* phi [T, M] and log_scale [T] of T rows x, ldx floats apart. scratch: pf_features_scratch floats.
 * One row runs on the kernels alone, more as matrix products. */
void pf_features_apply(const pf_features *features, const float *x, size_t ldx, size_t T,
                       float *phi, float *log_scale, float *scratch);
size_t pf_features_scratch(size_t D, size_t max_M, size_t max_T);

#endif
