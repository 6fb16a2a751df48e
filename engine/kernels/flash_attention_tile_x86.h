/* floor 1.2 - flash attention of a query tile, for any vector width: included by the files of the
 * tables, after a vector file (vector_avx2.h), whose names it uses. They also define ROWS, the
 * rows of a register tile.
 *
 * Both products, K Q^T and V^T P^T, keep queries in the lanes: each element of K or V is broadcast
 * to all lanes straight from memory. So K and V are never packed or transposed, however many query
 * heads share them, and softmax runs down the columns, without sums across a register. */
#ifndef PF_FLASH_ATTENTION_TILE_X86_H
#define PF_FLASH_ATTENTION_TILE_X86_H

#include <float.h>
#include <math.h>

enum { TILE = PF_TILE_QUERIES };

/* C[r][t] = (C[r][t] if add) + sum_k A[r * row + k * step] B[k][t] for n rows r and the queries t
 * of N registers. */
INLINE void register_tile(const float *A, size_t row, size_t step, size_t K, const float *B,
                          float *C, bool add, const size_t n, const size_t N) {
    VECTOR sum[ROWS][2];
    for (size_t r = 0; r < n; r++)
        for (size_t v = 0; v < N; v++) sum[r][v] = add ? LOAD(C + r * TILE + v * LANES) : SPREAD(0);
    for (size_t k = 0; k < K; k++, A += step, B += TILE) {
        VECTOR b[2];
        for (size_t v = 0; v < N; v++) b[v] = LOAD(B + v * LANES);
#pragma GCC unroll 8
        for (size_t r = 0; r < n; r++) {
            VECTOR a = SPREAD(A[r * row]);
            for (size_t v = 0; v < N; v++) sum[r][v] = FMA(a, b[v], sum[r][v]);
        }
    }
    for (size_t r = 0; r < n; r++)
        for (size_t v = 0; v < N; v++) STORE(C + r * TILE + v * LANES, sum[r][v]);
}

/* The same for any number of rows. */
INLINE void products(const float *A, size_t rows, size_t row, size_t step, size_t K, const float *B,
                     float *C, bool add, const size_t N) {
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        register_tile(A + r * row, row, step, K, B, C + r * TILE, add, ROWS, N);
    for (; r + 2 <= rows; r += 2)
        register_tile(A + r * row, row, step, K, B, C + r * TILE, add, 2, N);
    if (r < rows) register_tile(A + r * row, row, step, K, B, C + r * TILE, add, 1, N);
}

/* Turns the scores of n keys into weights, and rescales out and den to the new maximum, for the
 * queries of one register. A query that has seen no key has running_max = -inf; its shift is
 * finite nevertheless, so that exp(-inf - shift) = 0. */
INLINE void softmax_columns(float *scores, size_t n, size_t D, float *out, float *den,
                            float *running_max) {
    const VECTOR before = LOAD(running_max);
    VECTOR best = before;
    for (size_t j = 0; j < n; j++) best = MAX(LOAD(scores + j * TILE), best);
    const VECTOR shift = MAX(best, SPREAD(-FLT_MAX)), rescale = EXP(SUB(before, shift));
    VECTOR sum = MUL(LOAD(den), rescale);
    for (size_t j = 0; j < n; j++) {
        VECTOR weight = EXP(SUB(LOAD(scores + j * TILE), shift));
        STORE(scores + j * TILE, weight);
        sum = ADD(sum, weight);
    }
    STORE(den, sum);
    STORE(running_max, best);
    for (size_t d = 0; d < D; d++) STORE(out + d * TILE, MUL(LOAD(out + d * TILE), rescale));
}

INLINE size_t clamp_to_tile(ptrdiff_t t) {
    return t < 0 ? 0 : t > (ptrdiff_t)TILE ? (size_t)TILE : (size_t)t;
}

/* -inf where a query must not see a key. Only blocks at the ends of the range need it. */
static void mask_scores(float *scores, size_t n, ptrdiff_t first, ptrdiff_t last) {
    for (size_t j = 0; j < n; j++, scores += TILE) {
        size_t low = clamp_to_tile((ptrdiff_t)j - last + 1);
        size_t high = clamp_to_tile((ptrdiff_t)j - first + 1);
        for (size_t t = 0; t < low; t++) scores[t] = -INFINITY;
        for (size_t t = high; t < TILE; t++) scores[t] = -INFINITY;
    }
}

/* pf_kernels.flash_attention for the queries of N registers, from `lane` on. */
INLINE void flash_attention_columns(const pf_query_tile *tile, const float *K, const float *V,
                                    size_t n, size_t D, ptrdiff_t first, ptrdiff_t last,
                                    size_t lane, const size_t N) {
    float *scores = tile->scores + lane, *out = tile->out + lane;
    products(K, n, D, 1, D, tile->q + lane, scores, false, N);
    if (first + (ptrdiff_t)TILE > 1 || last < (ptrdiff_t)n)
        mask_scores(tile->scores, n, first, last);
    for (size_t v = 0; v < N; v++)
        softmax_columns(scores + v * LANES, n, D, out + v * LANES, tile->den + lane + v * LANES,
                        tile->running_max + lane + v * LANES);
    products(V, D, 1, D, n, scores, out, true, N);
}

#endif
