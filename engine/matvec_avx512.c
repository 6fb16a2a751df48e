/* floor 1.4 - weights times one token in floats, AVX-512: bound by memory, so the loads are all.
 *
 * Four rows at a time: four independent sums hide the latency of the multiply-add, one load of x
 * serves all of them, and each row is a stream of its own for the hardware prefetcher. */
#if defined(__x86_64__)

#include "matvec_x86.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 4, CHUNK = 256 };

/* Sixteen weights as floats, where the mask is set; 0 elsewhere. */
typedef __m512 (*load_weights)(const void *row, size_t i, __mmask16 mask);

INLINE __m512 load_f32(const void *row, size_t i, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, (const float *)row + i);
}

INLINE __m512 load_f16(const void *row, size_t i, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + i));
}

INLINE __m512 load_bf16(const void *row, size_t i, __mmask16 mask) {
    __m256i brains = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + i);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(brains), 16));
}

/* y[0 .. R) = R rows from `row`, times x */
INLINE void rows(const char *row, size_t row_bytes, size_t n, const float *x, float *y, const size_t R,
                 load_weights load) {
    __m512 sum[ROWS][2];
    for (size_t r = 0; r < R; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (size_t j = 0; j < 2; j++) {
            __m512 values = _mm512_loadu_ps(x + i + 16 * j);
            for (size_t r = 0; r < R; r++)
                sum[r][j] =
                    _mm512_fmadd_ps(load(row + r * row_bytes, i + 16 * j, 0xffff), values, sum[r][j]);
        }
    for (; i < n; i += 16) {
        __mmask16 mask = (__mmask16)(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
        __m512 values = _mm512_maskz_loadu_ps(mask, x + i);
        for (size_t r = 0; r < R; r++)
            sum[r][0] = _mm512_fmadd_ps(load(row + r * row_bytes, i, mask), values, sum[r][0]);
    }
    for (size_t r = 0; r < R; r++) y[r] = _mm512_reduce_add_ps(_mm512_add_ps(sum[r][0], sum[r][1]));
}

INLINE void matrix(pf_matrix W, const float *x, float *y, size_t begin, size_t end, load_weights load) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols), r = begin;
    const char *data = W.data;
    for (; r + ROWS <= end; r += ROWS)
        rows(data + r * row_bytes, row_bytes, W.cols, x, y + r, ROWS, load);
    for (; r < end; r++) rows(data + r * row_bytes, row_bytes, W.cols, x, y + r, 1, load);
}

static void f32(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    matrix(W, x, y, begin, end, load_f32);
}
static void f16(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    matrix(W, x, y, begin, end, load_f16);
}
static void bf16(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    matrix(W, x, y, begin, end, load_bf16);
}

/* Block types against floats, the reference path: some blocks at a time into a buffer. */
static void blocks(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    const char *block = (const char *)W.data + begin * pf_row_bytes(W.type, W.cols);
    float weights[CHUNK];
    for (size_t r = begin; r < end; r++) {
        y[r] = 0;
        for (size_t first = 0; first < W.cols; first += CHUNK) {
            size_t n = W.cols - first < CHUNK ? W.cols - first : CHUNK;
            float part;
            pf_dequantize_row_avx2(W.type, block, weights, n);
            rows((const char *)weights, 0, n, x + first, &part, 1, load_f32);
            y[r] += part;
            block += pf_row_bytes(W.type, n);
        }
    }
}

static void matvec_floats(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    switch (W.type) {
    case PF_F32: f32(W, x, y, begin, end); break;
    case PF_F16: f16(W, x, y, begin, end); break;
    case PF_BF16: bf16(W, x, y, begin, end); break;
    default: blocks(W, x, y, begin, end);
    }
}

void pf_matvec_avx512(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx2(W, a, y, begin, end)) matvec_floats(W, a.x, y, begin, end);
}

void pf_matvec_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx512vnni(W, a, y, begin, end))
        matvec_floats(W, a.x, y, begin, end);
}

#else
typedef int pf_no_matvec_avx512; /* ISO C wants one declaration per file */
#endif
