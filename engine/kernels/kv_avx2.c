/* floor 1.4 - one token against the cached keys and values, AVX2 + F16C: as kv_avx512.c, in
 * registers of eight. The registers of R keys by G queries, R G <= 8, are summed together. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "prefetch_x86.h"
#include "vector_avx2.h"

#include <string.h>

enum { SUMS = 8, STRIPE = 16 };

/* min(n, 8) values of a row, from the i-th, as floats; 0 in the other lanes. */
typedef __m256 (*load_row)(const void *row, size_t i, size_t n);

INLINE __m256 load_f32(const void *row, size_t i, size_t n) {
    return load_first((const float *)row + i, n);
}

INLINE __m256 load_f16(const void *row, size_t i, size_t n) {
    const uint16_t *x = (const uint16_t *)row + i;
    uint16_t few[8] = {0};
    if (n < 8) x = memcpy(few, x, n * sizeof *x);
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)x));
}

/* ---- scores ---- */

/* Lane i = the sum over the lanes of sum[i]. */
INLINE __m256 sum_8(__m256 sum[8]) {
    __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(sum[0], sum[1]), _mm256_hadd_ps(sum[2], sum[3]));
    __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(sum[4], sum[5]), _mm256_hadd_ps(sum[6], sum[7]));
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                         _mm256_permute2f128_ps(low, high, 0x31));
}

INLINE void score_tile(const char *K, size_t row_bytes, size_t D, const float *q, float scale,
                       float *scores, size_t ld, load_row load, const size_t R, const size_t G,
                       const pf_maker maker) {
    __m256 sum[8];
    for (size_t i = 0; i < 8; i++) sum[i] = _mm256_setzero_ps();
    if (maker == PF_INTEL) pf_fetch_keys(K, R * row_bytes, maker);
    for (size_t d = 0; d < D; d += 8)
#pragma GCC unroll 8
        for (size_t r = 0; r < R; r++) {
            __m256 key = load(K + r * row_bytes, d, D - d);
            for (size_t g = 0; g < G; g++)
                sum[g * R + r] =
                    _mm256_fmadd_ps(key, load_f32(q + g * D, d, D - d), sum[g * R + r]);
        }
    float all[8];
    _mm256_storeu_ps(all, _mm256_mul_ps(sum_8(sum), _mm256_set1_ps(scale)));
    for (size_t g = 0; g < G; g++) memcpy(scores + g * ld, all + g * R, R * sizeof *all);
}

/* All keys against G <= 4 queries, R keys at a time. */
INLINE void score_rows(pf_matrix K, const float *q, float scale, float *scores, size_t ld,
                       load_row load, const size_t R, const size_t G, const pf_maker maker) {
    size_t row_bytes = pf_row_bytes(K.type, K.cols), r = 0;
    const char *row = K.data;
    for (; r + R <= K.rows; r += R, row += R * row_bytes)
        score_tile(row, row_bytes, K.cols, q, scale, scores + r, ld, load, R, G, maker);
    for (; r < K.rows; r++, row += row_bytes)
        score_tile(row, row_bytes, K.cols, q, scale, scores + r, ld, load, 1, G, maker);
}

/* ---- weighted sums ---- */

/* `width` <= 16 columns (two registers) of every row, for G <= 4 queries. */
INLINE void weighted_stripe(const char *V, size_t row_bytes, size_t rows, size_t width,
                            const float *weights, size_t ld, float *out, size_t D, load_row load,
                            const size_t G, const pf_maker maker) {
    const size_t high = width > 8 ? width - 8 : 0, bytes = load == load_f16 ? 32 : 64;
    __m256 total[4][2];
    for (size_t g = 0; g < G; g++) total[g][0] = total[g][1] = _mm256_setzero_ps();
    for (size_t r = 0; r < rows; r++, V += row_bytes) {
        if (maker == PF_INTEL) pf_fetch_keys(V, bytes, maker);
        __m256 first = load(V, 0, width);
        __m256 second = high > 0 ? load(V, 8, high) : _mm256_setzero_ps();
        for (size_t g = 0; g < G; g++) {
            __m256 weight = _mm256_set1_ps(weights[g * ld + r]);
            total[g][0] = _mm256_fmadd_ps(weight, first, total[g][0]);
            total[g][1] = _mm256_fmadd_ps(weight, second, total[g][1]);
        }
    }
    for (size_t g = 0; g < G; g++) {
        _mm256_maskstore_ps(out + g * D, lanes(width), total[g][0]);
        if (high > 0) _mm256_maskstore_ps(out + g * D + 8, lanes(high), total[g][1]);
    }
}

/* The same; G is a constant in each call, so that the compiler unrolls the loops. */
INLINE void weighted_columns(pf_matrix V, size_t first, const float *weights, size_t ld, size_t G,
                             float *out, load_row load, const pf_maker maker) {
    size_t D = V.cols, width = D - first < 16 ? D - first : 16, rows = V.rows;
    size_t row_bytes = pf_row_bytes(V.type, D);
    const char *data = (const char *)V.data + pf_row_bytes(V.type, first);
    if (G == 1)
        weighted_stripe(data, row_bytes, rows, width, weights, ld, out, D, load, 1, maker);
    else if (G == 2)
        weighted_stripe(data, row_bytes, rows, width, weights, ld, out, D, load, 2, maker);
    else if (G == 3)
        weighted_stripe(data, row_bytes, rows, width, weights, ld, out, D, load, 3, maker);
    else
        weighted_stripe(data, row_bytes, rows, width, weights, ld, out, D, load, 4, maker);
}

/* ---- all queries and columns ---- */

#include "kv_tile_x86.h"

void pf_scores_avx2(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld) {
    score_groups(q, G, K, scale, scores, ld, PF_INTEL);
}

void pf_scores_avx2_amd(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                        size_t ld) {
    score_groups(q, G, K, scale, scores, ld, PF_AMD);
}

void pf_weighted_rows_avx2(const float *weights, size_t ld, size_t G, pf_matrix V, float *out) {
    weighted_stripes(weights, ld, G, V, out, PF_INTEL);
}

void pf_weighted_rows_avx2_amd(const float *weights, size_t ld, size_t G, pf_matrix V, float *out) {
    weighted_stripes(weights, ld, G, V, out, PF_AMD);
}

/* ---- to half precision ---- */

void pf_to_f16_avx2(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint16_t half[8];
        __m128i packed = _mm256_cvtps_ph(load_f32(x, i, n - i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)half, packed);
        memcpy(y + i, half, (n - i < 8 ? n - i : 8) * sizeof *y);
    }
}

#else
typedef int pf_no_kv_avx2; /* ISO C wants one declaration per file */
#endif
