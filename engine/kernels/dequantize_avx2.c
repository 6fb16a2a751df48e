/* floor 1.3 - weights to floats, AVX2: the same bits as quant.c, because it also multiplies first,
 * then adds. */
#if defined(__x86_64__)

#include "blocks_x86.h"
#include "kernels_x86.h"
#include "quant.h"

/* values[0 .. 16) = d q (+ m) for 16 bytes of signed integers. */
INLINE void store_half(float *values, __m128i q, __m256 d, const __m256 *m) {
    __m256 low = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)));
    __m256 high = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8))));
    _mm256_storeu_ps(values, m ? _mm256_add_ps(low, *m) : low);
    _mm256_storeu_ps(values + 8, m ? _mm256_add_ps(high, *m) : high);
}

INLINE void store(float *values, __m256i q, __m256 d, const __m256 *m) {
    store_half(values, _mm256_castsi256_si128(q), d, m);
    store_half(values + 16, _mm256_extracti128_si256(q, 1), d, m);
}

/* Types whose integers have a centre. */
INLINE void centred_row(const uint8_t *block, size_t bytes, pf_unpack q, char centre, float *values,
                        size_t n) {
    for (size_t i = 0; i < n; i += 32, block += bytes)
        store(values + i, _mm256_sub_epi8(q(block), _mm256_set1_epi8(centre)), pf_half8(block),
              NULL);
}

/* Types with an offset m, stored after d. */
INLINE void offset_row(const uint8_t *block, size_t bytes, pf_unpack q, float *values, size_t n) {
    for (size_t i = 0; i < n; i += 32, block += bytes) {
        __m256 m = pf_half8(block + 2);
        store(values + i, q(block), pf_half8(block), &m);
    }
}

/* Q4_K, or Q5_K (five). */
INLINE void k_row(const uint8_t *block, size_t bytes, bool five, float *values, size_t n) {
    for (size_t first = 0; first < n; first += 256, block += bytes) {
        __m256 scale, offset;
        float scales[8], offsets[8];
        pf_k_scales(block, &scale, &offset);
        _mm256_storeu_ps(scales, scale);
        _mm256_storeu_ps(offsets, offset);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256 m = _mm256_set1_ps(offsets[i]);
            store(values + first + 32 * i, five ? pf_q5_k(block, i) : pf_q4_k(block, i),
                  _mm256_set1_ps(scales[i]), &m);
        }
    }
}

/* Q6_K, or Q3_K (three): signed values, a scale for each 16. */
INLINE void scaled_row(const uint8_t *block, size_t bytes, bool three, float *values, size_t n) {
    for (size_t first = 0; first < n; first += 256, block += bytes) {
        float scales[16];
        if (three)
            pf_q3_k_scales(block, scales);
        else
            pf_q6_k_scales(block, scales);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256i q = three ? pf_q3_k_signed(block, i) : pf_q6_k_signed(block, i);
            float *group = values + first + 32 * i;
            store_half(group, _mm256_castsi256_si128(q), _mm256_set1_ps(scales[2 * i]), NULL);
            store_half(group + 16, _mm256_extracti128_si256(q, 1),
                       _mm256_set1_ps(scales[2 * i + 1]), NULL);
        }
    }
}

static void q2_k_row(const uint8_t *block, float *values, size_t n) {
    for (size_t first = 0; first < n; first += 256, block += 84) {
        float scales[16], mins[16];
        pf_q2_k_scales(block, scales, mins);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256i q = pf_q2_k(block, i);
            float *group = values + first + 32 * i;
            __m256 low = _mm256_set1_ps(-mins[2 * i]), high = _mm256_set1_ps(-mins[2 * i + 1]);
            store_half(group, _mm256_castsi256_si128(q), _mm256_set1_ps(scales[2 * i]), &low);
            store_half(group + 16, _mm256_extracti128_si256(q, 1),
                       _mm256_set1_ps(scales[2 * i + 1]), &high);
        }
    }
}

/* 16-bit floats: whole registers here, the last n % 8 in plain C. */
static void f16_row(const uint8_t *row, float *values, size_t n) {
    size_t whole = n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        _mm256_storeu_ps(values + i, _mm256_cvtph_ps(pf_load16(row + 2 * i)));
    pf_dequantize_row(PF_F16, row + 2 * whole, values + whole, n - whole);
}

static void bf16_row(const uint8_t *row, float *values, size_t n) {
    size_t whole = n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        __m256i bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(pf_load16(row + 2 * i)), 16);
        _mm256_storeu_ps(values + i, _mm256_castsi256_ps(bits));
    }
    pf_dequantize_row(PF_BF16, row + 2 * whole, values + whole, n - whole);
}

void pf_dequantize_row_avx2(pf_type type, const void *row, float *values, size_t n) {
    switch (type) {
    case PF_F16:
        f16_row(row, values, n);
        break;
    case PF_BF16:
        bf16_row(row, values, n);
        break;
    case PF_Q4_0:
        centred_row(row, 18, pf_q4_0, 8, values, n);
        break;
    case PF_IQ4_NL:
        centred_row(row, 18, pf_iq4_nl, 0, values, n);
        break;
    case PF_Q5_0:
        centred_row(row, 22, pf_q5_0, 16, values, n);
        break;
    case PF_Q8_0:
        centred_row(row, 34, pf_q8_0_signed, 0, values, n);
        break;
    case PF_Q4_1:
        offset_row(row, 20, pf_q4_1, values, n);
        break;
    case PF_Q5_1:
        offset_row(row, 24, pf_q5_1, values, n);
        break;
    case PF_Q4_K:
        k_row(row, 144, false, values, n);
        break;
    case PF_Q5_K:
        k_row(row, 176, true, values, n);
        break;
    case PF_Q6_K:
        scaled_row(row, 210, false, values, n);
        break;
    case PF_Q3_K:
        scaled_row(row, 110, true, values, n);
        break;
    case PF_Q2_K:
        q2_k_row(row, values, n);
        break;
    default:
        pf_dequantize_row(type, row, values, n);
    }
}

#else
typedef int pf_no_dequantize_avx2; /* ISO C wants one declaration per file */
#endif
