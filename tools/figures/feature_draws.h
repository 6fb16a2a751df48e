/* floor 5.3 - feature draws: phi(x).phi(y) for one draw of random features after another. */
#ifndef FEATURE_DRAWS_H
#define FEATURE_DRAWS_H

#include "error.h"
#include "projection.h"
#include "random_features.h"

typedef struct feature_draws {
    pf_features features;
    pf_projection_kind projection;
    pf_rng rng;
    size_t m;                                     /* rows of Omega */
    float *omega, *phi_x, *phi_y, *apply_scratch; /* one block */
    double *draw_scratch;
} feature_draws;

/* M features of a map for vectors of D numbers that are multiplied by `scale` first. Free it in
 * either case. */
bool feature_draws_new(feature_draws *d, pf_map_kind map, pf_projection_kind projection, size_t D,
                       size_t M, float scale, pf_error *error);
void feature_draws_free(feature_draws *d);

void feature_draws_next(feature_draws *d);
/* phi(x).phi(y) of the draw that stands. */
double feature_draws_estimate(feature_draws *d, const float *x, const float *y);

#endif
