/* floor 2.2 - train features: the maps phi of FAVOR+ that can be trained with, and their
 * derivatives.
 *
 * x = sqrt(scale) q, u = Omega x, and phi(x) = exp(log_scale) f (random_features.h defines them):
 *   positive    f_r = exp(u_r - max u)                  log_scale = max u - |x|^2 / 2
 *   favor++     the same, since nothing is calibrated (A = 0)
 *   hyperbolic  f = [exp(u - max), exp(-u - max)]       log_scale = max |u| - |x|^2 / 2
 *   relu        f_r = relu(u_r) + 0.001                 log_scale = 0
 *   elu         f_d = x_d + 1 if x_d > 0 else exp(x_d)  log_scale = 0
 *   normalized  f_r = softmax_r(u_r + b_r)              log_scale = t.x + c
 * Constant factors of all features (m^-1/2) cancel in attention and are left out. Those of
 * `normalized` are fitted, and count. Row M of its Omega is t, and its bias [M + 1] is b, then c.
 */
#ifndef PF_TRAIN_FEATURES_H
#define PF_TRAIN_FEATURES_H

#include "attention_options.h"
#include "error.h"
#include "real.h"

typedef struct pf_train_map {
    pf_map_kind kind;
    size_t D, M;
    pf_real root_scale;   /* sqrt of the scale of scores */
    const pf_real *omega; /* [pf_map_projections(kind, M), D] */
    const pf_real *bias;  /* [M + 1] of normalized */
    /* of normalized: receives its gradient, laid out as omega and bias are; added to */
    pf_real *d_omega, *d_bias;
} pf_train_map;

/* False with a message for maps that have no derivative here: those with negative features, whose
 * denominators vanish. */
bool pf_train_map_check(pf_map_kind kind, pf_error *error);

/* f [n, M] and log_scale [n] of n rows q, `stride` apart. */
void pf_features_forward(const pf_train_map *map, const pf_real *q, size_t stride, size_t n,
                         pf_real *f, pf_real *log_scale);

/* dq += from df [n, M], the gradient by f at fixed log_scale times exp(log_scale), that is by phi
 * up to one factor per row. All derivatives need f alone:
 *   exponentials  du_r = df_r f_r  (of the second half with a minus),
 *                 dx = Omega^T du - x sum_r df_r f_r
 *   relu          du_r = df_r where u_r > 0, that is f_r > 0.001
 *   elu           dx_d = df_d min(f_d, 1)
 *   normalized    g_r = df_r f_r, s = sum_r g_r,  du_r = g_r - s f_r,  dx = Omega^T du + s t,
 *                 dw_r = du_r x, db_r = du_r, dt = s x, dc = s
 * Overwrites df. */
void pf_features_backward(const pf_train_map *map, const pf_real *q, size_t stride, size_t n,
                          const pf_real *f, pf_real *df, pf_real *dq, size_t dq_stride);

#endif
