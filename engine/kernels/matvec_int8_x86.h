/* floor 1.2 - block types times int8 activations, one token: the loops that AVX2 and VNNI share.
 *
 * Both use 256-bit registers, which hold exactly one block of 32; they differ in one instruction,
 * the dot product of bytes, which the flags of the including file choose. For a block with weights
 * d q + m and activations s p:
 *     sum (d q + m) (s p) = d s (q . p) + m s (sum of p)
 * The eight lanes keep separate sums of q . p to the end of the row. Two totals, so that no
 * addition waits for the one before it.
 *
 * Row after row, in the order of memory: two rows at a time were three times slower (Zen 4: 8
 * instead of 27 GB/s), because the prefetcher follows one stream best. */
#ifndef PF_MATVEC_INT8_X86_H
#define PF_MATVEC_INT8_X86_H

#include "blocks_x86.h"
#include "kernels.h"
#include "prefetch_x86.h"
#include "vector_avx2.h"

/* Eight sums of four products, unsigned u (with AVX2: <= 128) times signed s, as floats. */
INLINE __m256 pf_dot_unsigned(__m256i u, __m256i s) {
#if defined(__AVX512VNNI__)
    return _mm256_cvtepi32_ps(_mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s));
#else
    __m256i pairs = _mm256_maddubs_epi16(u, s); /* 2 * 128 * 127 fits 16 bits */
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

/* Both signed: the sign of q moves to p, whose values are never -128. */
INLINE __m256 pf_dot_signed(__m256i q, __m256i p) {
    return pf_dot_unsigned(_mm256_abs_epi8(q), _mm256_sign_epi8(p, q));
}

/* How the integers of a type become weights. */
typedef enum pf_offset_kind {
    PF_SIGNED, /* w = d q, q signed */
    PF_CENTRE, /* w = d (q - centre) */
    PF_MIN,    /* w = d q + m, m stored after d */
} pf_offset_kind;

/* Sums of a row so far: eight of d s (q . p), and in lane 0 that of d s or m s (sum of p). */
typedef struct pf_totals {
    __m256 dots;
    __m128 offset;
} pf_totals;

/* Adds block b of a row. */
INLINE void pf_add_block(pf_totals *total, const uint8_t *block, size_t b, pf_activation a,
                         pf_unpack unpack, const pf_offset_kind kind) {
    __m256i q = unpack(block), p = pf_load32(a.q + 32 * b);
    __m256 d = pf_half8(block), scale = _mm256_mul_ps(d, _mm256_set1_ps(a.scale[b]));
    __m256 dot = kind == PF_SIGNED ? pf_dot_signed(q, p) : pf_dot_unsigned(q, p);
    total->dots = _mm256_fmadd_ps(dot, scale, total->dots);
    if (kind == PF_SIGNED) return;
    __m128 factor = _mm256_castps256_ps128(kind == PF_MIN ? pf_half8(block + 2) : d);
    total->offset = _mm_fmadd_ss(factor, _mm_load_ss(a.sum + b), total->offset);
}

INLINE float pf_row_of_32(const uint8_t *block, size_t n_blocks, pf_activation a,
                          const size_t bytes, pf_unpack unpack, const pf_offset_kind kind,
                          const float centre, const pf_maker maker) {
    pf_totals even = {_mm256_setzero_ps(), _mm_setzero_ps()}, odd = even;
    size_t b = 0;
    for (; b + 2 <= n_blocks; b += 2, block += 2 * bytes) {
        pf_fetch_blocks(block, maker);
        pf_add_block(&even, block, b, a, unpack, kind);
        pf_add_block(&odd, block + bytes, b + 1, a, unpack, kind);
    }
    if (b < n_blocks) pf_add_block(&even, block, b, a, unpack, kind);
    float dots = pf_sum8(_mm256_add_ps(even.dots, odd.dots));
    float offset = _mm_cvtss_f32(_mm_add_ss(even.offset, odd.offset));
    return kind == PF_SIGNED ? dots : dots + (kind == PF_MIN ? offset : -centre * offset);
}

/* One row of Q4_K, or of Q5_K (five). */
INLINE float pf_row_of_k(const uint8_t *block, size_t n_blocks, pf_activation a, const bool five,
                         const pf_maker maker) {
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, mins = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++, block += five ? 176 : 144) {
        __m256 scale, offset;
        float scales[8];
        pf_fetch_weights(block, five ? 176 : 144, maker);
        pf_k_scales(block, &scale, &offset);
        _mm256_storeu_ps(scales, _mm256_mul_ps(scale, _mm256_loadu_ps(a.scale + 8 * b)));
        mins = _mm256_fmadd_ps(offset, _mm256_loadu_ps(a.sum + 8 * b), mins);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256i q = five ? pf_q5_k(block, i) : pf_q4_k(block, i);
            __m256 dot = pf_dot_unsigned(q, pf_load32(a.q + 256 * b + 32 * (size_t)i));
            total[i % 2] = _mm256_fmadd_ps(dot, _mm256_set1_ps(scales[i]), total[i % 2]);
        }
    }
    return pf_sum8(_mm256_add_ps(_mm256_add_ps(total[0], total[1]), mins));
}

/* One row of Q6_K, or of Q3_K (three): signed values, a scale for each 16. */
INLINE float pf_row_of_16(const uint8_t *block, size_t n_blocks, pf_activation a, const bool three,
                          const pf_maker maker) {
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t b = 0; b < n_blocks; b++, block += three ? 110 : 210) {
        float scales[16];
        pf_fetch_weights(block, three ? 110 : 210, maker);
        if (three)
            pf_q3_k_scales(block, scales);
        else
            pf_q6_k_scales(block, scales);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            size_t group = 8 * b + (size_t)i;
            __m256i q = three ? pf_q3_k_signed(block, i) : pf_q6_k_signed(block, i);
            __m256 dot = pf_dot_signed(q, pf_load32(a.q + 32 * group));
            dot = _mm256_mul_ps(dot, _mm256_set1_ps(a.scale[group]));
            total[i % 2] = _mm256_fmadd_ps(dot, pf_two_scales(scales + 2 * i), total[i % 2]);
        }
    }
    return pf_sum8(_mm256_add_ps(total[0], total[1]));
}

/* One row of Q2_K: a min for each 16 values, so the activations are summed by sixteens here. */
INLINE float pf_row_of_q2_k(const uint8_t *block, size_t n_blocks, pf_activation a,
                            const pf_maker maker) {
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t b = 0; b < n_blocks; b++, block += 84) {
        float scales[16], mins[16];
        pf_fetch_weights(block, 84, maker);
        pf_q2_k_scales(block, scales, mins);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            size_t group = 8 * b + (size_t)i;
            __m256i p = pf_load32(a.q + 32 * group);
            __m256 dot = pf_dot_unsigned(pf_q2_k(block, i), p);
            __m256 sum = pf_dot_unsigned(_mm256_set1_epi8(1), p);
            dot = _mm256_mul_ps(dot, pf_two_scales(scales + 2 * i));
            dot = _mm256_fnmadd_ps(sum, pf_two_scales(mins + 2 * i), dot);
            total[i % 2] = _mm256_fmadd_ps(dot, _mm256_set1_ps(a.scale[group]), total[i % 2]);
        }
    }
    return pf_sum8(_mm256_add_ps(total[0], total[1]));
}

INLINE float pf_row_of_iq4_xs(const uint8_t *block, size_t n_blocks, pf_activation a,
                              const pf_maker maker) {
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t b = 0; b < 8 * n_blocks; b += 8, block += 136) {
        float scales[8];
        pf_fetch_weights(block, 136, maker);
        pf_iq4_xs_scales(block, scales);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m256 dot = pf_dot_signed(pf_iq4_xs(block, i), pf_load32(a.q + 32 * (b + (size_t)i)));
            __m256 scale = _mm256_set1_ps(scales[i] * a.scale[b + (size_t)i]);
            total[i % 2] = _mm256_fmadd_ps(dot, scale, total[i % 2]);
        }
    }
    return pf_sum8(_mm256_add_ps(total[0], total[1]));
}

INLINE void pf_matrix_of_32(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                            const size_t bytes, pf_unpack unpack, const pf_offset_kind kind,
                            const float centre, const pf_maker maker) {
    size_t n_blocks = W.cols / 32, row_bytes = n_blocks * bytes;
    const uint8_t *data = W.data;
    for (size_t r = begin; r < end; r++)
        y[r] = pf_row_of_32(data + r * row_bytes, n_blocks, a, bytes, unpack, kind, centre, maker);
}

/* The whole product; false for a type that has no int8 product. */
INLINE bool pf_matvec_int8(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                           const pf_maker maker) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols), supers = W.cols / 256;
    const uint8_t *data = W.data;
    switch (W.type) {
    case PF_Q8_0:
        pf_matrix_of_32(W, a, y, begin, end, 34, pf_q8_0_signed, PF_SIGNED, 0, maker);
        return true;
    case PF_Q4_0:
        pf_matrix_of_32(W, a, y, begin, end, 18, pf_q4_0, PF_CENTRE, 8, maker);
        return true;
    case PF_IQ4_NL:
        pf_matrix_of_32(W, a, y, begin, end, 18, pf_iq4_nl, PF_SIGNED, 0, maker);
        return true;
    case PF_IQ4_XS:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_iq4_xs(data + r * row_bytes, supers, a, maker);
        return true;
    case PF_Q5_0:
        pf_matrix_of_32(W, a, y, begin, end, 22, pf_q5_0, PF_CENTRE, 16, maker);
        return true;
    case PF_Q4_1:
        pf_matrix_of_32(W, a, y, begin, end, 20, pf_q4_1, PF_MIN, 0, maker);
        return true;
    case PF_Q5_1:
        pf_matrix_of_32(W, a, y, begin, end, 24, pf_q5_1, PF_MIN, 0, maker);
        return true;
    case PF_Q4_K:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_k(data + r * row_bytes, supers, a, false, maker);
        return true;
    case PF_Q5_K:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_k(data + r * row_bytes, supers, a, true, maker);
        return true;
    case PF_Q6_K:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_16(data + r * row_bytes, supers, a, false, maker);
        return true;
    case PF_Q3_K:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_16(data + r * row_bytes, supers, a, true, maker);
        return true;
    case PF_Q2_K:
        for (size_t r = begin; r < end; r++)
            y[r] = pf_row_of_q2_k(data + r * row_bytes, supers, a, maker);
        return true;
    default:
        return false;
    }
}

#endif
