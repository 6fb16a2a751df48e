/* floor 1.0 - transposition: 16 x 16 floats in AVX-512 registers. */
#ifndef PF_TRANSPOSE_AVX512_H
#define PF_TRANSPOSE_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* out[k] = column k of n_rows <= 16 rows, ld floats apart; 0 in the lanes of missing rows and in
 * the columns where the mask is 0. */
INLINE void pf_transpose_16(const float *rows, size_t ld, size_t n_rows, __mmask16 columns,
                            __m512 out[16]) {
    __m512 a[16], b[16];
    for (size_t i = 0; i < 16; i++)
        a[i] = i < n_rows ? _mm512_maskz_loadu_ps(columns, rows + i * ld) : _mm512_setzero_ps();
    for (size_t i = 0; i < 16; i += 2) { /* pairs of floats from rows i and i + 1 */
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) /* four rows: a[i + j] has columns j, j + 4, j + 8, j + 12 */
        for (size_t j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(b[i + j]), high = _mm512_castps_pd(b[i + j + 2]);
            a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    for (size_t j = 0; j < 4; j++) { /* the 4 x 4 quarters of four registers are transposed */
        __m512 even_low = _mm512_shuffle_f32x4(a[j], a[4 + j], 0x88);
        __m512 even_high = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0x88);
        __m512 odd_low = _mm512_shuffle_f32x4(a[j], a[4 + j], 0xdd);
        __m512 odd_high = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0xdd);
        out[j] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
        out[j + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
        out[j + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        out[j + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
}

#endif
