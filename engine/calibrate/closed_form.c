/* floor 2.4 - closed form: centres, balancing maps and proposal of one KV head. */
#include "closed_form.h"

#include "linear_algebra.h"
#include "matmul.h"
#include "memory.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1024 }; /* rows whose products are summed in float; these sums are added in double */

typedef struct workspace {
    double *q_mean, *k_mean; /* [D] */
    double *q_cov, *k_cov;   /* [D, D]; then L_q^-1, L_k^-1 */
    double *product, *U, *Vt, *s, *work;
    float *centred, *block; /* [BLOCK, D], [D, D] */
} workspace;

/* The mean [D] and covariance [D, D] of the rows of X [n, D]; returns the mean of |x|^2. */
static double moments(const float *X, size_t n, size_t D, double *mean, double *cov, float *centred,
                      float *block) {
    if (n == 0 || D == 0) return 0;
    double square = 0, share = 1 / (double)n;
    memset(mean, 0, D * sizeof *mean);
    memset(cov, 0, D * D * sizeof *cov);
    for (size_t i = 0; i < n * D; i++) {
        mean[i % D] += (double)X[i];
        square += (double)X[i] * (double)X[i];
    }
    for (size_t d = 0; d < D; d++) mean[d] *= share;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t rows = n - first < BLOCK ? n - first : BLOCK;
        for (size_t i = 0; i < rows * D; i++)
            centred[i] = (float)((double)X[first * D + i] - mean[i % D]);
        pf_sgemm(true, false, D, D, rows, 1, centred, D, centred, D, 0, block, D);
        for (size_t i = 0; i < D * D; i++) cov[i] += (double)block[i] * share;
    }
    return square * share;
}

static double mean_of_diagonal(const double *cov, size_t D) {
    double trace = 0;
    for (size_t d = 0; d < D; d++) trace += cov[d * D + d];
    return trace / (double)D;
}

/* Replaces a covariance [D, D] by its Cholesky factor. A text that repeats itself has rows in few
 * directions, and sums in float leave the others slightly negative: the ridge grows, from a
 * millionth of the mean variance, until the matrix is positive definite. False for a NaN. */
static bool factor_covariance(double *cov, size_t D, double *copy) {
    double mean = mean_of_diagonal(cov, D);
    if (!isfinite(mean)) return false;
    memcpy(copy, cov, D * D * sizeof *copy);
    for (double share = 1e-6; share < 10; share *= 10) {
        for (size_t d = 0; d < D; d++) cov[d * D + d] += share * mean + 1e-12;
        if (pf_cholesky(cov, D)) return true;
        memcpy(cov, copy, D * D * sizeof *copy);
    }
    return false;
}

/* C [n, n] = op(A) B, in double. */
static void multiply(bool transpose_a, const double *A, const double *B, double *C, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) C[i * n + j] = 0;
        for (size_t l = 0; l < n; l++) {
            double a = transpose_a ? A[l * n + i] : A[i * n + l];
            for (size_t j = 0; j < n; j++) C[i * n + j] += a * B[l * n + j];
        }
    }
}

/* The proposal's parameter A for a dimension whose share of Z is f. */
static double propose(double f) {
    double root = sqrt((2 * f + 1) * (2 * f + 1) + 8 * f);
    return (1 - 2 * f - root) / 16;
}

/* The log of the relative second moment that A leaves in this dimension. */
static double log_second_moment(double f, double A) {
    return log(1 - 4 * A) - 0.5 * log(1 - 8 * A) + f / (1 - 8 * A);
}

/* map [D, D] = S^1/2 op(W) L^-1, where the rows of op(W) are the singular vectors. */
static void balance(bool transpose, const double *W, const double *inverse, const double *s,
                    size_t D, double *scratch, float *map) {
    multiply(transpose, W, inverse, scratch, D);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++) map[i * D + j] = (float)(sqrt(s[i]) * scratch[i * D + j]);
}

static bool factor(workspace *w, size_t D, pf_closed_form *result) {
    double *scratch = w->product + D * D;
    if (!factor_covariance(w->q_cov, D, scratch) || !factor_covariance(w->k_cov, D, scratch))
        return false;
    multiply(true, w->q_cov, w->k_cov, w->product, D);
    if (!pf_svd(w->product, D, w->U, w->s, w->Vt, w->work)) return false;
    if (!pf_invert_lower(w->q_cov, D) || !pf_invert_lower(w->k_cov, D)) return false;
    balance(true, w->U, w->q_cov, w->s, D, scratch, result->q_map);
    balance(false, w->Vt, w->k_cov, w->s, D, scratch, result->k_map);
    return true;
}

static double *carve(double **next, size_t n) {
    double *at = *next;
    *next += n;
    return at;
}

bool pf_closed_form_fit(const float *q, size_t n_q, const float *k, size_t n_k, size_t D,
                        pf_closed_form *result, pf_error *error) {
    workspace w;
    double *memory =
        pf_calloc(6 * D * D + 3 * D + pf_svd_work(D), sizeof *memory, "covariances", error);
    w.centred = pf_calloc(BLOCK + D, D * sizeof(float), "covariances", error);
    bool good = memory && w.centred;
    if (good) {
        double *next = memory, dot = 0;
        w.block = w.centred + BLOCK * D;
        w.q_mean = carve(&next, D);
        w.k_mean = carve(&next, D);
        w.s = carve(&next, D);
        w.q_cov = carve(&next, D * D);
        w.k_cov = carve(&next, D * D);
        w.product = carve(&next, 2 * D * D);
        w.U = carve(&next, D * D);
        w.Vt = carve(&next, D * D);
        w.work = next;
        result->Z_before = moments(q, n_q, D, w.q_mean, w.q_cov, w.centred, w.block) +
                           moments(k, n_k, D, w.k_mean, w.k_cov, w.centred, w.block);
        for (size_t d = 0; d < D; d++) dot += w.q_mean[d] * w.k_mean[d];
        result->Z_before += 2 * dot;
        result->variance_before = result->Z_before; /* log(e^Z - 1), and Z is large */
        good = factor(&w, D, result) || pf_fail(error, "queries or keys of a head are not finite");
    }
    if (good) {
        result->Z_after = result->variance_after = 0;
        for (size_t d = 0; d < D; d++) {
            double f = 2 * w.s[d], A = propose(f);
            result->q_center[d] = (float)w.q_mean[d];
            result->k_center[d] = (float)w.k_mean[d];
            result->proposal[d] = (float)A;
            result->Z_after += f;
            result->variance_after += log_second_moment(f, A);
        }
    }
    pf_free(memory);
    pf_free(w.centred);
    return good;
}
