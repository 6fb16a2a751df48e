/* floor 1.4 - weights times one token, AVX2 + FMA: as floats, and blocks with int8 activations. */
#if defined(__x86_64__)

#include "matvec_int8_x86.h"
#include "kernels_x86.h"
#include "quant.h"

enum { CHUNK = 256 };

/* Eight weights, from the i-th, as floats. */
typedef __m256 (*load_weights)(const void *row, size_t i);

INLINE __m256 load_f32(const void *row, size_t i) {
    return _mm256_loadu_ps((const float *)row + i);
}

INLINE __m256 load_f16(const void *row, size_t i) {
    return _mm256_cvtph_ps(pf_load16((const uint16_t *)row + i));
}

INLINE __m256 load_bf16(const void *row, size_t i) {
    __m128i brains = pf_load16((const uint16_t *)row + i);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(brains), 16));
}

/* A row times x, in four independent sums; the last n % 8 columns go through a padded copy. */
INLINE float one_row(pf_type type, const char *row, size_t n, const float *x, load_weights load,
                     const pf_maker maker) {
    const size_t size = load == load_f32 ? 4 : 2;
    __m256 sum[4];
    for (size_t j = 0; j < 4; j++) sum[j] = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        pf_fetch_weights(row + i * size, 32 * size, maker);
        for (size_t j = 0; j < 4; j++)
            sum[j] = _mm256_fmadd_ps(load(row, i + 8 * j), _mm256_loadu_ps(x + i + 8 * j), sum[j]);
    }
    for (; i + 8 <= n; i += 8)
        sum[0] = _mm256_fmadd_ps(load(row, i), _mm256_loadu_ps(x + i), sum[0]);
    if (i < n) {
        float padded_x[8] = {0}, weights[8] = {0};
        memcpy(padded_x, x + i, (n - i) * sizeof *x);
        pf_dequantize_row(type, row + pf_row_bytes(type, i), weights, n - i);
        sum[1] = _mm256_fmadd_ps(_mm256_loadu_ps(weights), _mm256_loadu_ps(padded_x), sum[1]);
    }
    return pf_sum8(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
}

/* Row after row, in the order of memory (matvec_avx512.c says why). */
INLINE void matrix(pf_matrix W, const float *x, float *y, size_t begin, size_t end,
                   load_weights load, const pf_maker maker) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols);
    for (size_t r = begin; r < end; r++)
        y[r] = one_row(W.type, (const char *)W.data + r * row_bytes, W.cols, x, load, maker);
}

/* Block types times floats, the reference path: a few blocks at a time are converted to floats.
 * These are in the cache and need no hint, as on AMD. */
static void blocks(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    const char *block = (const char *)W.data + begin * pf_row_bytes(W.type, W.cols);
    float weights[CHUNK];
    for (size_t r = begin; r < end; r++) {
        y[r] = 0;
        for (size_t first = 0; first < W.cols; first += CHUNK) {
            size_t n = W.cols - first < CHUNK ? W.cols - first : CHUNK;
            pf_dequantize_row_avx2(W.type, block, weights, n);
            y[r] += one_row(PF_F32, (const char *)weights, n, x + first, load_f32, PF_AMD);
            block += pf_row_bytes(W.type, n);
        }
    }
}

INLINE void any_type(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                     const pf_maker maker) {
    switch (W.type) {
    case PF_F32:
        matrix(W, a.x, y, begin, end, load_f32, maker);
        break;
    case PF_F16:
        matrix(W, a.x, y, begin, end, load_f16, maker);
        break;
    case PF_BF16:
        matrix(W, a.x, y, begin, end, load_bf16, maker);
        break;
    default:
        blocks(W, a.x, y, begin, end);
    }
}

bool pf_matvec_int8_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    return pf_matvec_int8(W, a, y, begin, end, PF_INTEL);
}

bool pf_matvec_int8_avx2_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    return pf_matvec_int8(W, a, y, begin, end, PF_AMD);
}

void pf_matvec_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx2(W, a, y, begin, end)) any_type(W, a, y, begin, end, PF_INTEL);
}

void pf_matvec_avx2_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx2_amd(W, a, y, begin, end))
        any_type(W, a, y, begin, end, PF_AMD);
}

#else
typedef int pf_no_matvec_avx2; /* ISO C wants one declaration per file */
#endif
