/* floor 2.1 - real: the numbers that training computes with, and its inner loops.
 *
 * The library trains in float. Everything in this room also compiles with PF_REAL_DOUBLE, so that
 * tests/test_train_double.c can hold the very same code against central differences, which are far
 * too coarse in float.
 */
#ifndef PF_REAL_H
#define PF_REAL_H

#include "carve.h"
#include "kernels.h"
#include "matmul.h"

#ifdef PF_REAL_DOUBLE
typedef double pf_real;
#else
typedef float pf_real;
#endif

/* C [m, n] = alpha op(A) op(B) + beta C, as pf_sgemm. */
void pf_real_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, pf_real alpha,
                  const pf_real *A, size_t lda, const pf_real *B, size_t ldb, pf_real beta,
                  pf_real *C, size_t ldc);
pf_real pf_real_dot(const pf_real *a, const pf_real *b, size_t n);              /* sum a_i b_i */
void pf_real_axpy(pf_real *y, pf_real alpha, const pf_real *x, size_t n);       /* y += alpha x */
void pf_real_scale(pf_real *y, pf_real alpha, size_t n);                        /* y *= alpha */
pf_real pf_real_max(const pf_real *x, size_t n);                                /* n >= 1 */
pf_real pf_real_exp_sum(pf_real *y, const pf_real *x, pf_real shift, size_t n); /* pf_kernels' */

/* The next n numbers of a block of floats. */
static inline pf_real *pf_carve_reals(pf_carve *carve, size_t n) {
    return (pf_real *)(void *)pf_carve_floats(carve, n * (sizeof(pf_real) / sizeof(float)));
}

#endif
