/* floor 1.4 - weights times one token in floats, AVX-512: bound by memory, so only loads matter.
 *
 * Row after row, in the order of memory: four rows side by side share the loads of x but halve the
 * speed on long rows (Zen 4: 16 instead of 27 GB/s), because the prefetcher follows one stream
 * best. Short rows, such as the D columns of a random projection, go four at a time and share the
 * final sums. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "prefetch_x86.h"
#include "vector_avx512.h"

enum { ROWS = 4, SHORT = 128, CHUNK = 256 };

/* Sixteen weights, from the i-th, as floats where the mask is set; 0 elsewhere. */
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

/* y[r] = the sum over the lanes of sum[r]. */
INLINE void store_sums(float *y, const __m512 sum[ROWS]) {
    __m128 quarter[ROWS];
    for (size_t r = 0; r < ROWS; r++) {
        __m256 half =
            _mm256_add_ps(_mm512_castps512_ps256(sum[r]), _mm512_extractf32x8_ps(sum[r], 1));
        quarter[r] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }
    _mm_storeu_ps(
        y, _mm_hadd_ps(_mm_hadd_ps(quarter[0], quarter[1]), _mm_hadd_ps(quarter[2], quarter[3])));
}

INLINE void four_short_rows(const char *row, size_t row_bytes, size_t n, const float *x, float *y,
                            load_weights load) {
    __m512 sum[ROWS];
    for (size_t r = 0; r < ROWS; r++) sum[r] = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 values = _mm512_maskz_loadu_ps(mask, x + i);
        for (size_t r = 0; r < ROWS; r++)
            sum[r] = _mm512_fmadd_ps(load(row + r * row_bytes, i, mask), values, sum[r]);
    }
    store_sums(y, sum);
}

INLINE float one_row(const char *row, size_t n, const float *x, load_weights load,
                     const pf_maker maker) {
    const size_t size = load == load_f32 ? 4 : 2;
    __m512 sum[4];
    for (size_t j = 0; j < 4; j++) sum[j] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        pf_fetch_weights(row + i * size, 64 * size, maker);
        for (size_t j = 0; j < 4; j++)
            sum[j] = _mm512_fmadd_ps(load(row, i + 16 * j, 0xffff), _mm512_loadu_ps(x + i + 16 * j),
                                     sum[j]);
    }
    for (; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        sum[0] = _mm512_fmadd_ps(load(row, i, mask), _mm512_maskz_loadu_ps(mask, x + i), sum[0]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

INLINE void matrix(pf_matrix W, const float *x, float *y, size_t begin, size_t end,
                   load_weights load, const pf_maker maker) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols), r = begin;
    const char *data = W.data;
    if (W.cols <= SHORT)
        for (; r + ROWS <= end; r += ROWS)
            four_short_rows(data + r * row_bytes, row_bytes, W.cols, x, y + r, load);
    for (; r < end; r++) y[r] = one_row(data + r * row_bytes, W.cols, x, load, maker);
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
            y[r] += one_row((const char *)weights, n, x + first, load_f32, PF_AMD);
            block += pf_row_bytes(W.type, n);
        }
    }
}

INLINE void any_type(pf_matrix W, const float *x, float *y, size_t begin, size_t end,
                     const pf_maker maker) {
    switch (W.type) {
    case PF_F32:
        matrix(W, x, y, begin, end, load_f32, maker);
        break;
    case PF_F16:
        matrix(W, x, y, begin, end, load_f16, maker);
        break;
    case PF_BF16:
        matrix(W, x, y, begin, end, load_bf16, maker);
        break;
    default:
        blocks(W, x, y, begin, end);
    }
}

void pf_matvec_floats_avx512(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    any_type(W, x, y, begin, end, PF_INTEL);
}

void pf_matvec_floats_avx512_amd(pf_matrix W, const float *x, float *y, size_t begin, size_t end) {
    any_type(W, x, y, begin, end, PF_AMD);
}

#else
typedef int pf_no_matvec_avx512; /* ISO C wants one declaration per file */
#endif
