/* floor 1.7 - matrix products: weights times one token or many; the only module that calls BLAS. */
#ifndef PF_MATMUL_H
#define PF_MATMUL_H

#include "kernels.h"
#include "threads.h"

/* Y [T, W.rows] = X [T, W.cols] W^T (+ bias [W.rows], if not NULL), by a team. Rows of X and Y are
 * ldx and ldy floats apart. Each member computes its own range of W's rows, that is columns of Y,
 * so every element is computed by one member in one order. The caller provides barriers.
 *   T == 1     streams the weights once (pf_kernels.matvec);
 *   few        multiply a few rows of W at a time with every token (matvec again);
 *   many       unpack a panel of rows into the member's `panel` and multiply it with all tokens
 *              (pf_kernels.gemm, or sgemm if the table has none). */
typedef struct pf_matmul_scratch {
    float *panel;             /* this member's, pf_matmul_panel_floats(W.cols) long */
    pf_activation activation; /* this member's; x is unused; q NULL: --float-activations */
} pf_matmul_scratch;

/* Members split the rows of W in multiples of this: a cache line of floats in Y. */
enum { PF_MATMUL_GRAIN = 16 };

/* Floats of `panel` for matrices of up to max_cols columns. */
size_t pf_matmul_panel_floats(size_t max_cols);

void pf_matmul(pf_member member, pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X,
               size_t ldx, size_t T, pf_matrix W, const float *bias);

/* One product by BLAS on one thread, row-major: C [m, n] = alpha op(A) op(B) + beta C, where op(A)
 * is [m, k] and op(B) [k, n]; rows of A, B and C are lda, ldb and ldc floats apart. */
void pf_sgemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
              const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
              size_t ldc);

/* Which kernel set OpenBLAS picked for this machine, e.g. "SkylakeX". Static text. */
const char *pf_blas_name(void);

#endif
