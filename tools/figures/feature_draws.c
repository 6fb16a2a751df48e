/* floor 5.3 - feature draws: phi(x).phi(y) for one draw of random features after another. */
#include "feature_draws.h"

#include "memory.h"

#include <math.h>

bool feature_draws_new(feature_draws *d, pf_map_kind map, pf_projection_kind projection, size_t D,
                       size_t M, float scale, pf_error *error) {
    *d = (feature_draws){.projection = projection, .m = pf_map_projections(map, M)};
    size_t scratch = pf_features_scratch(D, M, 1);
    d->omega = pf_calloc(d->m * D + 2 * M + scratch, sizeof(float), "the features", error);
    d->draw_scratch = pf_calloc(D, D * sizeof(double), "the features", error);
    if (!d->omega || !d->draw_scratch) return false;
    d->phi_x = d->omega + d->m * D;
    d->phi_y = d->phi_x + M;
    d->apply_scratch = d->phi_y + M;
    d->features =
        (pf_features){.map = map, .D = D, .M = M, .input_scale = scale, .omega = d->omega};
    pf_rng_seed(&d->rng, 1, 0);
    return true;
}

void feature_draws_free(feature_draws *d) {
    pf_free(d->omega);
    pf_free(d->draw_scratch);
    *d = (feature_draws){0};
}

void feature_draws_next(feature_draws *d) {
    pf_projection_draw(&d->rng, d->projection, d->m, d->features.D, d->omega, d->draw_scratch);
}

double feature_draws_estimate(feature_draws *d, const float *x, const float *y) {
    float x_scale, y_scale;
    pf_features_apply(&d->features, x, d->features.D, 1, d->phi_x, &x_scale, d->apply_scratch);
    pf_features_apply(&d->features, y, d->features.D, 1, d->phi_y, &y_scale, d->apply_scratch);
    double sum = 0;
    for (size_t i = 0; i < d->features.M; i++) sum += (double)d->phi_x[i] * (double)d->phi_y[i];
    return sum * exp((double)x_scale + (double)y_scale);
}
