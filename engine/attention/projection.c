/* floor 1.8 - projections: Omega, whose rows w_1 ... w_m random features project on. */
#include "projection.h"

#include <math.h>

/* Rows 0 ... rows-1 of a Haar-random orthogonal matrix: Gram-Schmidt on independent normal rows.
 * This is the QR decomposition with a positive diagonal of R, which makes Q Haar-distributed; a
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
