/* floor 1.7 - matrix products: weights times one token or many; the only file that calls BLAS.
 *
 * OpenBLAS (the OpenMP build) asks omp_get_max_threads() and omp_in_parallel() at each call, and
 * uses one thread inside a team. A team of one is not a parallel region, so pf_sgemm sets the
 * calling thread's own limit to one for the length of the call. That limit belongs to the thread,
 * whereas openblas_set_num_threads would change it for all threads. (OpenBLAS 0.3.21 has no
 * openblas_set_num_threads_local.) */
#include "matmul.h"
#include "quant.h"

#include <cblas.h>
#include <omp.h>

enum { FEW_TOKENS = 6 };

size_t pf_matmul_panel_floats(size_t max_cols) { return pf_gemm_workspace_floats(max_cols); }

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

void pf_sgemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
              const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
              size_t ldc) {
    if (m == 0 || n == 0) return;
    int threads = omp_get_max_threads();
    if (threads != 1) omp_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, A, (int)lda,
                B, (int)ldb, beta, C, (int)ldc);
    if (threads != 1) omp_set_num_threads(threads);
}

static bool takes_int8(const pf_matmul_scratch *scratch, pf_type type) {
    return scratch->activation.q && pf_type_get(type)->block_size > 1;
}

/* One token: each of this member's rows of W is read once. */
static void one_token(pf_matmul_scratch *scratch, float *y, const float *x, pf_matrix W,
                      size_t begin, size_t end) {
    const pf_kernels *kernels = pf_kernels_get();
    pf_activation activation = scratch->activation;
    activation.x = x;
    if (takes_int8(scratch, W.type)) kernels->quantize_activation(activation, W.cols);
    kernels->matvec(W, activation, y, begin, end);
}

/* Too few tokens to prepare a gemm for: a few rows of W at a time stay in the cache while every
 * token is multiplied with them. */
static void few_tokens(pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X, size_t ldx,
                       size_t T, pf_matrix W, size_t begin, size_t end) {
    const pf_kernels *kernels = pf_kernels_get();
    pf_activation activations[FEW_TOKENS];
    size_t blocks = (W.cols + 31) / 32;
    float *buffer = scratch->panel;
    for (size_t t = 0; t < T; t++) {
        pf_activation *a = &activations[t];
        *a = (pf_activation){X + t * ldx, NULL, NULL, NULL};
        if (!takes_int8(scratch, W.type)) continue;
        *a = (pf_activation){a->x, (int8_t *)(buffer + 2 * blocks), buffer, buffer + blocks};
        kernels->quantize_activation(*a, W.cols);
        buffer += 2 * blocks + 8 * blocks; /* two floats and 32 bytes a block */
    }
    for (size_t r = begin; r < end; r += PF_MATMUL_GRAIN)
        for (size_t t = 0; t < T; t++)
            kernels->matvec(W, activations[t], Y + t * ldy, r, at_most(end, r + PF_MATMUL_GRAIN));
}

/* Many tokens by BLAS: rows [begin, end) of W as floats, a panel at a time, times all tokens.
 * OpenBLAS rounds differently in calls of other shapes; with panels of PF_MATMUL_GRAIN rows, the
 * result does not depend on the number of members. */
static void many_tokens_by_blas(pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X,
                                size_t ldx, size_t T, pf_matrix W, size_t begin, size_t end) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t row_bytes = pf_row_bytes(W.type, W.cols);
    for (size_t first = begin; first < end; first += PF_MATMUL_GRAIN) {
        size_t count = at_most(end - first, PF_MATMUL_GRAIN);
        const char *rows = (const char *)W.data + first * row_bytes;
        const float *panel = (const float *)(const void *)rows;
        if (W.type != PF_F32) {
            for (size_t r = 0; r < count; r++)
                kernels->dequantize_row(W.type, rows + r * row_bytes, scratch->panel + r * W.cols,
                                        W.cols);
            panel = scratch->panel;
        }
        pf_sgemm(false, true, T, count, W.cols, 1, X, ldx, panel, W.cols, 0, Y + first, ldy);
    }
}

static void many_tokens(pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X,
                        size_t ldx, size_t T, pf_matrix W, size_t begin, size_t end) {
    const pf_kernels *kernels = pf_kernels_get();
    if (!kernels->gemm) {
        many_tokens_by_blas(scratch, Y, ldy, X, ldx, T, W, begin, end);
        return;
    }
    for (size_t t = 0; t < T; t += PF_GEMM_TOKENS)
        kernels->gemm(W, X + t * ldx, ldx, at_most(T - t, PF_GEMM_TOKENS),
                      takes_int8(scratch, W.type), Y + t * ldy, ldy, begin, end, scratch->panel);
}

void pf_matmul(pf_member member, pf_matmul_scratch *scratch, float *Y, size_t ldy, const float *X,
               size_t ldx, size_t T, pf_matrix W, const float *bias) {
    size_t begin, end;
    pf_share(member, W.rows, PF_MATMUL_GRAIN, &begin, &end);
    if (begin == end) return;
    if (T == 1)
        one_token(scratch, Y, X, W, begin, end);
    else if (T <= FEW_TOKENS)
        few_tokens(scratch, Y, ldy, X, ldx, T, W, begin, end);
    else
        many_tokens(scratch, Y, ldy, X, ldx, T, W, begin, end);
    for (size_t t = 0; bias && t < T; t++)
        for (size_t r = begin; r < end; r++) Y[t * ldy + r] += bias[r];
}

const char *pf_blas_name(void) { return openblas_get_corename(); }
