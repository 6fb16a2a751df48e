/* floor 2.1 - real: the numbers that training computes with, and its inner loops. */
#include "real.h"

#include <math.h>

#ifndef PF_REAL_DOUBLE

void pf_real_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                  const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                  size_t ldc) {
    pf_sgemm(transpose_a, transpose_b, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}

float pf_real_dot(const float *a, const float *b, size_t n) {
    return pf_kernels_get()->dot(a, b, n);
}

void pf_real_axpy(float *y, float alpha, const float *x, size_t n) {
    pf_kernels_get()->axpy(y, alpha, x, n);
}

void pf_real_scale(float *y, float alpha, size_t n) { pf_kernels_get()->scale(y, alpha, n); }

float pf_real_max(const float *x, size_t n) { return pf_kernels_get()->max(x, n); }

float pf_real_exp_sum(float *y, const float *x, float shift, size_t n) {
    return pf_kernels_get()->exp_sum(y, x, shift, n);
}

#else /* the definitions, for tests */

void pf_real_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, double alpha,
                  const double *A, size_t lda, const double *B, size_t ldb, double beta, double *C,
                  size_t ldc) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (transpose_a ? A[l * lda + i] : A[i * lda + l]) *
                       (transpose_b ? B[j * ldb + l] : B[l * ldb + j]);
            C[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * C[i * ldc + j]);
        }
}

double pf_real_dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

void pf_real_axpy(double *y, double alpha, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += alpha * x[i];
}

void pf_real_scale(double *y, double alpha, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] *= alpha;
}

double pf_real_max(const double *x, size_t n) {
    double max = x[0];
    for (size_t i = 1; i < n; i++)
        if (x[i] > max) max = x[i];
    return max;
}

double pf_real_exp_sum(double *y, const double *x, double shift, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += y[i] = exp(x[i] - shift);
    return sum;
}

#endif
