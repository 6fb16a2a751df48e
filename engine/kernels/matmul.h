/* floor 1.7 - matrix products: weights against one token or many; the only file that sees BLAS. */
#ifndef PF_MATMUL_H
#define PF_MATMUL_H

#include "kernels.h"
#include "threads.h"

/* Y [T, W.rows] = X [T, W.cols] W^T (+ bias [W.rows], if not NULL), done by a team: each member
 * computes its own columns of Y (a contiguous range of W's rows), so that every number is computed
 * by one member in one order. Rows of X and Y are ldx and ldy floats apart. Barriers are the caller's.
 * T == 1 streams the weights once (pf_kernels.matvec), a few tokens take turns at each handful of rows;
 * for more, a panel of rows at a time is unpacked into the member's `panel` and met by all tokens
 * (pf_kernels.gemm, or sgemm where the table has none). */
typedef struct pf_matmul_scratch {
    float *panel;             /* this member's, pf_matmul_panel_floats() long */
    pf_activation activation; /* this member's; x unused; q NULL for --float-activations */
} pf_matmul_scratch;

/* Members share columns in multiples of this: a cache line of floats. */
enum { PF_MATMUL_GRAIN = 16 };

size_t pf_matmul_panel_floats(size_t max_cols);

void pf_matmul(pf_member member, pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X,
               size_t ldx, size_t T, pf_matrix W, const float *bias);

/* Plain products on one thread, row-major: C [m, n] = alpha op(A) op(B) + beta C, where op(A) is
 * [m, k] and op(B) [k, n]; lda, ldb, ldc are the distances between rows in memory. */
void pf_sgemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
              const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
              size_t ldc);

/* Which kernel set OpenBLAS picked for this machine, e.g. "SkylakeX". Static text. */
const char *pf_blas_name(void);

#endif
