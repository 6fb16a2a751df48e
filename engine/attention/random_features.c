/* floor 1.8 - random features: maps phi with E[phi(x).phi(y)] = exp(x.y), and their projections.
 *
 * To add a map: write its row function, add a line to the table `maps`, a name in
 * attention_options.c, and its mean and variance to tests/test_random_features.c (docs/maps.md walks
 * through it). */
#include "random_features.h"

#include "matmul.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a row function reads. u = Omega x' [projections], half_norm = |x'|^2 / 2. It writes phi [M] and
 * returns the log-scale. phi and u do not overlap. */
typedef struct row {
    const pf_features *features;
    const float *x; /* [D] x' */
    const float *u;
    size_t m; /* projections */
    float half_norm;
    const pf_kernels *kernels;
} row;

/* phi = exp(u - |x|^2/2) [n] up to the returned log-scale; top = max u. */
static float exponentials(const row *r, const float *u, float top, size_t n, float *phi) {
    float inside = r->features->norm_inside ? r->half_norm : 0;
    r->kernels->exp_sum(phi, u, top + inside, n);
    return top + inside - r->half_norm;
}

/* positive: phi_r = m^-1/2 exp(w_r.x - |x|^2/2)         (Choromanski et al. 2020, Lemma 1, eq. 5)
 * favor++:  phi_r = m^-1/2 exp(B w_r.x - |x|^2/2 + b_r) (Likhosherstov et al. 2022, sec. 3.1), with B in
 *           omega and b in bias (pf_projection_propose)
 * Variance of the estimate of SM = exp(x.y), iid rows, Z = |x + y|^2:
 *   positive SM^2 (e^Z - 1) / m;  favor++ SM^2 ((1-4A)^D (1-8A)^(-D/2) e^(Z/(1-8A)) - 1) / m. */
static float positive_row(const row *r, float *phi) {
    const float *u = r->u;
    if (r->features->bias) {
        for (size_t i = 0; i < r->m; i++) phi[i] = u[i] + r->features->bias[i];
        u = phi;
    }
    float top = r->kernels->max(u, r->m);
    return exponentials(r, u, top, r->m, phi) - 0.5f * logf((float)r->m);
}

/* phi = (2m)^-1/2 exp(-|x|^2/2) [exp(w_r.x), exp(-w_r.x)]  (Choromanski et al. 2020, Lemma 1, hyp)
 * Variance: SM^2 (1 - e^-Z)(e^Z - 1) / 2m. */
static float hyperbolic_row(const row *r, float *phi) {
    for (size_t i = 0; i < r->m; i++) {
        phi[i] = r->u[i];
        phi[r->m + i] = -r->u[i];
    }
    float top = r->kernels->max(phi, 2 * r->m);
    return exponentials(r, phi, top, 2 * r->m, phi) - 0.5f * logf(2.0f * (float)r->m);
}

/* phi = m^-1/2 exp(|x|^2/2) [cos w_r.x, sin w_r.x]  (Rahimi & Recht 2007; Choromanski et al. 2020, eq. 4)
 * Unbiased, but not positive. Variance: e^(|x|^2+|y|^2) (1 - e^-|x-y|^2)^2 / 2m. */
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

/* phi_r = m^-1/2 (relu(w_r.x) + eps): another kernel, |x||y| (sin t + (pi - t) cos t) / 2 pi + ... with
 * t the angle between x and y  (Choromanski et al. 2020, sec. 2.2, generalised attention; the
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

/* log phi_r = w_r.x + b_r - logsumexp_r'(w_r'.x + b_r') + u.x + c: fitted, positive  (FAVOR.md 4, the
 * general form h(x) f(w.x) of Choromanski et al. 2020, eq. 3). Row M of omega is u, bias[M] is c. */
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
    unsigned extra_rows;     /* rows of Omega that are no feature */
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

/* Rows 0 ... rows-1 of a Haar-random orthogonal matrix: Gram-Schmidt on independent normal rows. This
 * is the QR decomposition with a positive diagonal of R, which makes Q Haar-distributed; a
 * Householder QR leaves the signs of R to the algorithm and must be mended column by column
 * (Mezzadri 2007), or the features are biased along (1, ..., 1). Twice, since once loses
 * orthogonality to rounding. Our own loop rather than LAPACK's also gives the same features on
 * every machine. */
static void orthogonal_rows(pf_rng *rng, size_t rows, size_t D, double *Q) {
    for (size_t i = 0; i < rows; i++) {
        double *q = Q + i * D, norm = 0;
        for (size_t d = 0; d < D; d++) q[d] = pf_rng_normal(rng);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t j = 0; j < i; j++) {
                const double *other = Q + j * D;
                double dot = 0;
                for (size_t d = 0; d < D; d++) dot += q[d] * other[d];
                for (size_t d = 0; d < D; d++) q[d] -= dot * other[d];
            }
        }
        for (size_t d = 0; d < D; d++) norm += q[d] * q[d];
        norm = sqrt(norm);
        for (size_t d = 0; d < D; d++) q[d] /= norm;
    }
}

/* The length of a fresh N(0, I_D) vector: chi(D). */
static double chi(pf_rng *rng, size_t D) {
    double sum = 0;
    for (size_t d = 0; d < D; d++) {
        double x = pf_rng_normal(rng);
        sum += x * x;
    }
    return sqrt(sum);
}

void pf_projection_draw(pf_rng *rng, pf_projection_kind kind, size_t m, size_t D, float *omega,
                        double *scratch) {
    if (kind == PF_PROJECTION_IID) {
        for (size_t i = 0; i < m * D; i++) omega[i] = (float)pf_rng_normal(rng);
        return;
    }
    for (size_t first = 0; first < m; first += D) {
        size_t rows = m - first < D ? m - first : D;
        orthogonal_rows(rng, rows, D, scratch);
        for (size_t i = 0; i < rows; i++) {
            double length = chi(rng, D);
            for (size_t d = 0; d < D; d++)
                omega[(first + i) * D + d] = (float)(length * scratch[i * D + d]);
        }
    }
}

void pf_projection_propose(size_t m, size_t D, const float *A, float *omega, float *bias) {
    for (size_t r = 0; r < m; r++) {
        double sum = 0;
        for (size_t d = 0; d < D; d++) {
            double a = A ? (double)A[d] : 0, w = (double)omega[r * D + d];
            sum += a * w * w + 0.25 * log(1 - 4 * a);
            omega[r * D + d] = (float)(w * sqrt(1 - 4 * a));
        }
        bias[r] = (float)sum;
    }
}
