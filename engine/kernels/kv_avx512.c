/* floor 1.4 - one token against the cached keys and values, AVX-512: each row is read once for all
 * its queries.
 *
 * Summing across a register costs more than the products of a short row, so sixteen registers are
 * summed together: those of R keys by G queries, R G <= 16. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "prefetch_x86.h"
#include "vector_avx512.h"

#include <string.h>

enum { SUMS = 16, STRIPE = 64 };

/* Sixteen values of a row, from the i-th, as floats where the mask is set; 0 elsewhere. */
typedef __m512 (*load_row)(const void *row, size_t i, __mmask16 mask);

INLINE __m512 load_f32(const void *row, size_t i, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, (const float *)row + i);
}

INLINE __m512 load_f16(const void *row, size_t i, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + i));
}

/* ---- scores ---- */

/* Lane i = the sum over the lanes of sum[i]. Each of four steps merges two registers into one, in
 * which each has half as many lanes. */
INLINE __m512 sum_16(__m512 sum[16]) {
    __m512 a[8], b[4];
    for (size_t i = 0; i < 8; i++) {
        __m512 x = sum[i / 4 * 8 + i % 4], y = sum[i / 4 * 8 + i % 4 + 4];
        a[i] = _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xee));
    }
    for (size_t i = 0; i < 4; i++)
        b[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x88),
                             _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd));
    __m512 low =
        _mm512_add_ps(_mm512_shuffle_ps(b[0], b[1], 0x44), _mm512_shuffle_ps(b[0], b[1], 0xee));
    __m512 high =
        _mm512_add_ps(_mm512_shuffle_ps(b[2], b[3], 0x44), _mm512_shuffle_ps(b[2], b[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x88), _mm512_shuffle_ps(low, high, 0xdd));
}

/* R keys against G queries. held: the queries in four registers each, if D = 64; otherwise NULL. */
INLINE void score_tile(const char *K, size_t row_bytes, size_t D, const float *q,
                       const __m512 *held, __m512 scale, float *scores, size_t ld, load_row load,
                       const size_t R, const size_t G, const pf_maker maker) {
    __m512 sum[16];
    for (size_t i = 0; i < 16; i++) sum[i] = _mm512_setzero_ps();
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++) {
        pf_fetch_keys(K + r * row_bytes, row_bytes, maker);
        for (size_t d = 0; d < D; d += 16) {
            __mmask16 mask = lanes(D - d);
            __m512 key = load(K + r * row_bytes, d, mask);
            for (size_t g = 0; g < G; g++) {
                __m512 query =
                    held ? held[4 * g + d / 16] : _mm512_maskz_loadu_ps(mask, q + g * D + d);
                sum[g * R + r] = _mm512_fmadd_ps(key, query, sum[g * R + r]);
            }
        }
    }
    float all[16];
    _mm512_storeu_ps(all, _mm512_mul_ps(sum_16(sum), scale));
    for (size_t g = 0; g < G; g++) memcpy(scores + g * ld, all + g * R, R * sizeof *all);
}

/* All keys against G <= 4 queries, R keys at a time. */
INLINE void score_rows(pf_matrix K, const float *q, float scale, float *scores, size_t ld,
                       load_row load, const size_t R, const size_t G, const pf_maker maker) {
    size_t bytes = pf_row_bytes(K.type, K.cols), r = 0;
    const char *row = K.data;
    const __m512 factor = _mm512_set1_ps(scale);
    if (K.cols == 64) { /* the most common head_dim: its loops are unrolled */
        const size_t bytes64 = load == load_f16 ? 128 : 256;
        __m512 held[16];
        for (size_t i = 0; i < 4 * G; i++) held[i] = _mm512_loadu_ps(q + 16 * i);
        for (; r + R <= K.rows; r += R, row += R * bytes64)
            score_tile(row, bytes64, 64, q, held, factor, scores + r, ld, load, R, G, maker);
    }
    for (; r + R <= K.rows; r += R, row += R * bytes)
        score_tile(row, bytes, K.cols, q, NULL, factor, scores + r, ld, load, R, G, maker);
    for (; r < K.rows; r++, row += bytes)
        score_tile(row, bytes, K.cols, q, NULL, factor, scores + r, ld, load, 1, G, maker);
}

/* ---- weighted sums ---- */

/* N registers (the last one masked) of every row, for G queries. The sums over the rows stay in
 * registers: N G <= 16 of the 32. */
INLINE void weighted_stripe(const char *V, size_t row_bytes, size_t rows, const float *weights,
                            size_t ld, float *out, size_t D, __mmask16 last, load_row load,
                            const size_t N, const size_t G, const pf_maker maker) {
    const size_t bytes = N * (load == load_f16 ? 32 : 64);
    __m512 total[4][4];
    for (size_t g = 0; g < G; g++)
        for (size_t i = 0; i < N; i++) total[g][i] = _mm512_setzero_ps();
    for (size_t r = 0; r < rows; r++, V += row_bytes) {
        __m512 row[4];
        pf_fetch_keys(V, bytes, maker);
        for (size_t i = 0; i < N; i++) row[i] = load(V, 16 * i, i + 1 < N ? 0xffff : last);
        for (size_t g = 0; g < G; g++) {
            __m512 weight = _mm512_set1_ps(weights[g * ld + r]);
            for (size_t i = 0; i < N; i++)
                total[g][i] = _mm512_fmadd_ps(weight, row[i], total[g][i]);
        }
    }
    for (size_t g = 0; g < G; g++)
        for (size_t i = 0; i < N; i++)
            _mm512_mask_storeu_ps(out + g * D + 16 * i, i + 1 < N ? 0xffff : last, total[g][i]);
}

/* N and G are constants in each call, so that the compiler unrolls the loops of every shape. */
INLINE void weighted_group(const char *V, size_t row_bytes, size_t rows, const float *weights,
                           size_t ld, float *out, size_t D, __mmask16 last, load_row load,
                           const size_t N, size_t G, const pf_maker maker) {
    if (G == 1)
        weighted_stripe(V, row_bytes, rows, weights, ld, out, D, last, load, N, 1, maker);
    else if (G == 2)
        weighted_stripe(V, row_bytes, rows, weights, ld, out, D, last, load, N, 2, maker);
    else if (G == 3)
        weighted_stripe(V, row_bytes, rows, weights, ld, out, D, last, load, N, 3, maker);
    else
        weighted_stripe(V, row_bytes, rows, weights, ld, out, D, last, load, N, 4, maker);
}

INLINE void weighted_columns(pf_matrix V, size_t first, const float *weights, size_t ld, size_t G,
                             float *out, load_row load, const pf_maker maker) {
    size_t D = V.cols, width = D - first < 64 ? D - first : 64, N = (width + 15) / 16;
    size_t row_bytes = pf_row_bytes(V.type, D), rows = V.rows;
    const char *data = (const char *)V.data + pf_row_bytes(V.type, first);
    __mmask16 last = lanes(width - 16 * (N - 1));
    if (N == 1)
        weighted_group(data, row_bytes, rows, weights, ld, out, D, last, load, 1, G, maker);
    else if (N == 2)
        weighted_group(data, row_bytes, rows, weights, ld, out, D, last, load, 2, G, maker);
    else if (N == 3)
        weighted_group(data, row_bytes, rows, weights, ld, out, D, last, load, 3, G, maker);
    else
        weighted_group(data, row_bytes, rows, weights, ld, out, D, last, load, 4, G, maker);
}

/* ---- all queries and columns ---- */

#include "kv_tile_x86.h"

void pf_scores_avx512(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                      size_t ld) {
    score_groups(q, G, K, scale, scores, ld, PF_INTEL);
}

void pf_scores_avx512_amd(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                          size_t ld) {
    score_groups(q, G, K, scale, scores, ld, PF_AMD);
}

void pf_weighted_rows_avx512(const float *weights, size_t ld, size_t G, pf_matrix V, float *out) {
    weighted_stripes(weights, ld, G, V, out, PF_INTEL);
}

void pf_weighted_rows_avx512_amd(const float *weights, size_t ld, size_t G, pf_matrix V,
                                 float *out) {
    weighted_stripes(weights, ld, G, V, out, PF_AMD);
}

/* ---- to half precision ---- */

void pf_to_f16_avx512(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 values = _mm512_maskz_loadu_ps(mask, x + i);
        _mm256_mask_storeu_epi16(y + i, mask, _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    }
}

#else
typedef int pf_no_kv_avx512; /* ISO C wants one declaration per file */
#endif
