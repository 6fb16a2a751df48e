/* floor 1.8 - random features: maps phi with E[phi(x).phi(y)] = exp(x.y).
 *
 * To add a map, write its row function, add a line to the table `maps`, a name in
 * attention_options.c, and its mean and variance to tests/test_random_features.c. docs/maps.md
 * walks you through it. */
#include "random_features.h"

#include "matmul.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a row function reads; x' is x centred and transformed. It writes phi [M] and returns the
 * log-scale. phi and row.u do not overlap. */
typedef struct row {
    const pf_features *features;
    const float *x; /* [D] x' */
    const float *u; /* [m] Omega x' */
    size_t m;
    float half_norm; /* |x'|^2 / 2 */
    const pf_kernels *kernels;
} row;

/* phi = exp(u - |x|^2/2) [n] up to the returned log-scale. */
static float exponentials(const row *r, const float *u, size_t n, float *phi) {
    float max = r->kernels->max(u, n);
    float inside = r->features->norm_inside ? r->half_norm : 0;
    r->kernels->exp_sum(phi, u, max + inside, n);
    return max + inside - r->half_norm;
}

/* positive: phi_r = m^-1/2 exp(w_r.x - |x|^2/2)         (Choromanski et al. 2020, Lemma 1)
 * favor++:  phi_r = m^-1/2 exp(B w_r.x - |x|^2/2 + b_r) (Likhosherstov et al. 2022, sec. 3.1)
 *           with B in omega and b in bias (pf_projection_propose)
 * Variance of the estimate of SM = exp(x.y), iid rows, Z = |x + y|^2:
 *   positive SM^2 (e^Z - 1) / m;  favor++ SM^2 ((1-4A)^D (1-8A)^(-D/2) e^(Z/(1-8A)) - 1) / m. */
static float positive_row(const row *r, float *phi) {
    const float *u = r->u;
    if (r->features->bias) {
        for (size_t i = 0; i < r->m; i++) phi[i] = u[i] + r->features->bias[i];
        u = phi;
    }
    return exponentials(r, u, r->m, phi) - 0.5f * logf((float)r->m);
}

/* phi = (2m)^-1/2 exp(-|x|^2/2) [exp(w_r.x), exp(-w_r.x)]  (Choromanski et al. 2020, Lemma 1)
 * Variance: SM^2 (1 - e^-Z)(e^Z - 1) / 2m. */
static float hyperbolic_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->m; i++) {
        phi[i] = r->u[i];
        phi[r->m + i] = -r->u[i];
    }
    return exponentials(r, phi, 2 * r->m, phi) - 0.5f * logf(2.0f * (float)r->m);
}

/* phi = m^-1/2 exp(|x|^2/2) [cos w_r.x, sin w_r.x]  (Rahimi & Recht 2007; Choromanski et al. 2020,
 * eq. 4) Unbiased, but not positive. Variance: e^(|x|^2+|y|^2) (1 - e^-|x-y|^2)^2 / 2m. */
static float trig_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->m; i++) {
        phi[i] = cosf(r->u[i]);
        phi[r->m + i] = sinf(r->u[i]);
    }
    return r->half_norm - 0.5f * logf((float)r->m);
}

/* phi_r = (2/m)^1/2 exp(|x|^2/2) cos(w_r.x + b_r), b_r ~ U(0, 2 pi) in bias  (Rahimi & Recht 2007)
 * Variance: e^(|x|^2+|y|^2) (1/2 + (1 - e^-|x-y|^2)^2 / 2) / m. */
static float trig_offset_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->m; i++) phi[i] = cosf(r->u[i] + r->features->bias[i]);
    return r->half_norm + 0.5f * logf(2.0f / (float)r->m);
}

/* phi_r = m^-1/2 (relu(w_r.x) + eps): another kernel, |x||y| (sin t + (pi - t) cos t) / 2 pi + ...
 * with t the angle between x and y  (Choromanski et al. 2020, sec. 2.2, generalised attention; the
 * arc-cosine kernel of Cho & Saul 2009). */
static float relu_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->m; i++) phi[i] = r->u[i] > 0 ? r->u[i] : 0;
    return -0.5f * logf((float)r->m);
}

/* phi = elu(x) + 1, M = D: no projection, no randomness  (Katharopoulos et al. 2020, eq. 7) */
static float elu_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->features->D; i++) phi[i] = r->x[i] > 0 ? r->x[i] + 1 : expf(r->x[i]);
    return 0;
}

/* log phi_r = w_r.x + b_r - logsumexp_r'(w_r'.x + b_r') + t.x + c: fitted, positive  (the general
 * form h(x) f(w.x) of Choromanski et al. 2020, with h fitted; docs/favor.md, "Pretrained
 * models: calibration"). Row M of omega is t, bias[M] is c. */
static float normalized_row(const row *r, float *phi) {
    size_t M = r->features->M;
    for (size_t i = 0; i < M; i++) phi[i] = r->u[i] + r->features->bias[i];
    float sum = r->kernels->exp_sum(phi, phi, r->kernels->max(phi, M), M);
    r->kernels->scale(phi, 1 / sum, M);
    return r->u[M] + r->features->bias[M];
}

typedef struct map_info {
    float (*row)(const row *r, float *phi);
    unsigned per_projection; /* features for each row of Omega; 0: no projection, M = D */
    unsigned extra_rows;     /* rows of Omega that make no feature */
    bool is_signed;
} map_info;

static const map_info maps[PF_MAP_COUNT] = {
    [PF_MAP_POSITIVE] = {positive_row, 1, 0, false},
    [PF_MAP_HYPERBOLIC] = {hyperbolic_row, 2, 0, false},
    [PF_MAP_TRIG] = {trig_row, 2, 0, true},
    [PF_MAP_TRIG_OFFSET] = {trig_offset_row, 1, 0, true},
    [PF_MAP_FAVOR_PP] = {positive_row, 1, 0, false},
    [PF_MAP_RELU] = {relu_row, 1, 0, false},
    [PF_MAP_ELU] = {elu_row, 0, 0, false},
    [PF_MAP_NORMALIZED] = {normalized_row, 1, 1, false},
};

size_t pf_map_projections(pf_map_kind map, size_t M) {
    const map_info *info = &maps[map];
    return info->per_projection ? M / info->per_projection + info->extra_rows : 0;
}

size_t pf_map_whole_features(pf_map_kind map, size_t M) {
    return maps[map].per_projection > 1 ? M - M % maps[map].per_projection : M;
}

bool pf_map_is_signed(pf_map_kind map) { return maps[map].is_signed; }

bool pf_map_check_features(pf_map_kind map, size_t D, uint32_t *M, char *message, size_t size) {
    const map_info *info = &maps[map];
    if (info->per_projection == 0) {
        *M = (uint32_t)D;
        return true;
    }
    if (*M == 0 || *M > 1u << 20) {
        snprintf(message, size, "%u random features per head: choose 1 to %u with --features", *M,
                 1u << 20);
        return false;
    }
    if (*M % info->per_projection != 0) {
        snprintf(message, size,
                 "map %s makes %u features of each projection: --features %u must be even",
                 pf_map_name(map), info->per_projection, *M);
        return false;
    }
    return true;
}

size_t pf_features_scratch(size_t D, size_t max_M, size_t max_T) {
    return max_T * (2 * D + max_M + 1);
}

/* Y [T, m] = X [T, D] W^T */
static void product(const pf_kernels *kernels, size_t T, size_t m, size_t D, const float *X,
                    const float *W, float *Y) {
    if (T == 1)
        kernels->matvec((pf_matrix){PF_F32, m, D, W}, (pf_activation){.x = X}, Y, 0, m);
    else
        pf_sgemm(false, true, T, m, D, 1, X, D, W, D, 0, Y, m);
}

void pf_features_apply(const pf_features *features, const float *x, size_t ldx, size_t T,
                       float *phi, float *log_scale, float *scratch) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = features->D, M = features->M;
    size_t m = pf_map_projections(features->map, M);
    float *X = scratch, *U = scratch + T * D, *spare = U + T * m;
    for (size_t t = 0; t < T; t++) {
        float *row_t = X + t * D;
        for (size_t d = 0; d < D; d++) row_t[d] = x[t * ldx + d] * features->input_scale;
        log_scale[t] = features->tilt_constant;
        if (features->tilt) log_scale[t] += kernels->dot(features->tilt, row_t, D);
        if (features->center)
            for (size_t d = 0; d < D; d++) row_t[d] -= features->center[d];
    }
    if (features->transform) {
        product(kernels, T, D, D, X, features->transform, spare);
        memcpy(X, spare, T * D * sizeof *X);
    }
    if (m > 0) product(kernels, T, m, D, X, features->omega, U);
    for (size_t t = 0; t < T; t++) {
        row r = {features, X + t * D, U + t * m, m, 0, kernels};
        r.half_norm = 0.5f * kernels->dot(r.x, r.x, D);
        log_scale[t] += maps[features->map].row(&r, phi + t * M);
        if (features->epsilon > 0)
            for (size_t i = 0; i < M; i++) phi[t * M + i] += features->epsilon;
    }
}
