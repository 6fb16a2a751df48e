/* floor 2.2 - train features: the maps phi of FAVOR+ that can be trained with, and their
 * derivatives. */
#include "train_features.h"

#include "random_features.h"

#include <tgmath.h>

static const pf_real RELU_EPSILON = (pf_real)1e-3f; /* the engine's: head_features.c */

bool pf_train_map_check(pf_map_kind kind, pf_error *error) {
    if (pf_map_is_signed(kind))
        return pf_fail(error,
                       "the map %s has negative features, so its denominators can vanish in "
                       "training; train with positive, hyperbolic, favor++, relu or elu",
                       pf_map_name(kind));
    return true;
}

static bool is_exponential(pf_map_kind kind) {
    return kind == PF_MAP_POSITIVE || kind == PF_MAP_FAVOR_PP || kind == PF_MAP_HYPERBOLIC;
}

/* f = elu(x) + 1, from x scaled in place */
static void elu_row(size_t D, pf_real *f) {
    for (size_t d = 0; d < D; d++) f[d] = f[d] > 0 ? f[d] + 1 : exp(f[d]);
}

static pf_real exponential_row(const pf_train_map *map, size_t m, pf_real half_norm, pf_real *f) {
    if (map->kind == PF_MAP_HYPERBOLIC)
        for (size_t r = 0; r < m; r++) f[m + r] = -f[r];
    pf_real max = pf_real_max(f, map->M);
    pf_real_exp_sum(f, f, max, map->M);
    return max - half_norm;
}

/* f = softmax(u + b), from u; returns t.x + c, of x scaled */
static pf_real normalized_row(const pf_train_map *map, const pf_real *q, pf_real *f) {
    size_t M = map->M;
    pf_real_axpy(f, 1, map->bias, M);
    pf_real sum = pf_real_exp_sum(f, f, pf_real_max(f, M), M);
    pf_real_scale(f, 1 / sum, M);
    return map->root_scale * pf_real_dot(map->omega + M * map->D, q, map->D) + map->bias[M];
}

/* Rows of Omega that give a feature each, or two. */
static size_t feature_rows(const pf_train_map *map) {
    size_t m = pf_map_projections(map->kind, map->M);
    return map->kind == PF_MAP_NORMALIZED ? m - 1 : m;
}

void pf_features_forward(const pf_train_map *map, const pf_real *q, size_t stride, size_t n,
                         pf_real *f, pf_real *log_scale) {
    size_t D = map->D, M = map->M, m = feature_rows(map);
    if (m > 0)
        pf_real_gemm(false, true, n, m, D, map->root_scale, q, stride, map->omega, D, 0, f, M);
    for (size_t i = 0; i < n; i++) {
        const pf_real *q_i = q + i * stride;
        pf_real *f_i = f + i * M;
        log_scale[i] = 0;
        if (is_exponential(map->kind)) {
            pf_real scale = map->root_scale * map->root_scale;
            pf_real half_norm = 0.5f * scale * pf_real_dot(q_i, q_i, D);
            log_scale[i] = exponential_row(map, m, half_norm, f_i);
        } else if (map->kind == PF_MAP_NORMALIZED) {
            log_scale[i] = normalized_row(map, q_i, f_i);
        } else if (map->kind == PF_MAP_RELU) {
            for (size_t r = 0; r < M; r++) f_i[r] = (f_i[r] > 0 ? f_i[r] : 0) + RELU_EPSILON;
        } else {
            for (size_t d = 0; d < D; d++) f_i[d] = map->root_scale * q_i[d];
            elu_row(D, f_i);
        }
    }
}

/* df becomes du [m]; returns sum df f */
static pf_real back_exponentials(const pf_train_map *map, size_t m, const pf_real *f, pf_real *df) {
    pf_real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t r = 0; r < map->M; r++) {
        df[r] *= f[r];
        sum += df[r];
    }
    if (map->kind == PF_MAP_HYPERBOLIC)
        for (size_t r = 0; r < m; r++) df[r] -= df[m + r];
    return sum;
}

/* df becomes du; the gradients of q by t, and of t and c by q. */
static void back_normalized(const pf_train_map *map, const pf_real *q, const pf_real *f,
                            pf_real *df, pf_real *dq) {
    size_t M = map->M, D = map->D;
    pf_real sum = 0, root = map->root_scale;
#pragma omp simd reduction(+ : sum)
    for (size_t r = 0; r < M; r++) {
        df[r] *= f[r];
        sum += df[r];
    }
    for (size_t r = 0; r < M; r++) df[r] -= sum * f[r];
    pf_real_axpy(dq, sum * root, map->omega + M * D, D);
    pf_real_axpy(map->d_omega + M * D, sum * root, q, D);
    pf_real_axpy(map->d_bias, 1, df, M);
    map->d_bias[M] += sum;
}

void pf_features_backward(const pf_train_map *map, const pf_real *q, size_t stride, size_t n,
                          const pf_real *f, pf_real *df, pf_real *dq, size_t dq_stride) {
    size_t D = map->D, M = map->M, m = feature_rows(map);
    pf_real root = map->root_scale;
    for (size_t i = 0; i < n; i++) {
        const pf_real *f_i = f + i * M, *q_i = q + i * stride;
        pf_real *df_i = df + i * M, *dq_i = dq + i * dq_stride;
        if (is_exponential(map->kind)) {
            pf_real sum = back_exponentials(map, m, f_i, df_i);
            pf_real_axpy(dq_i, -sum * root * root, q_i, D);
        } else if (map->kind == PF_MAP_NORMALIZED) {
            back_normalized(map, q_i, f_i, df_i, dq_i);
        } else if (map->kind == PF_MAP_RELU) {
            for (size_t r = 0; r < M; r++) df_i[r] = f_i[r] > RELU_EPSILON ? df_i[r] : 0;
        } else {
            for (size_t d = 0; d < D; d++) dq_i[d] += root * df_i[d] * (f_i[d] < 1 ? f_i[d] : 1);
        }
    }
    if (m > 0) pf_real_gemm(false, false, n, D, m, root, df, M, map->omega, D, 1, dq, dq_stride);
    if (map->kind == PF_MAP_NORMALIZED)
        pf_real_gemm(true, false, M, D, n, root, df, M, q, stride, 1, map->d_omega, D);
}
