/* floor 1.0 - block formats in AVX2 registers: 32 weights of a block as 32 small integers.
 *
 * What quant.c does value by value, here for a whole block: w = d q (+ m). The integers come in
 * the order of the values. q is unsigned (0 ... 63) unless a comment says signed, so that one
 * multiply of unsigned by signed bytes is enough for all types; the caller subtracts the type's
 * centre (8 for Q4_0). Included by the x86 kernels only. */
#ifndef PF_BLOCKS_X86_H
#define PF_BLOCKS_X86_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i pf_load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m128i pf_load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* One fp16 number as eight equal floats. */
INLINE __m256 pf_half8(const void *p) {
    int16_t half;
    memcpy(&half, p, sizeof half);
    return _mm256_cvtph_ps(_mm_set1_epi16(half));
}

INLINE float pf_half(const void *p) { return _mm256_cvtss_f32(pf_half8(p)); }

/* 16 bytes -> 32 nibbles: first the low ones, then the high ones. */
INLINE __m256i pf_nibbles(const uint8_t *p) {
    __m128i bytes = pf_load16(p);
    __m256i both = _mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* Byte i = 16 if bit i of the 32-bit word is set, otherwise 0. */
INLINE __m256i pf_fifth_bits(const uint8_t *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    const __m256i byte_of = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101,
                                               0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of = _mm256_set1_epi64x((int64_t)0x8040201008040201u);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word), byte_of);
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of), bit_of);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

/* The 32 integers of a block. */
typedef __m256i (*pf_unpack)(const uint8_t *block);

INLINE __m256i pf_q4_0(const uint8_t *block) { return pf_nibbles(block + 2); }
INLINE __m256i pf_q4_1(const uint8_t *block) { return pf_nibbles(block + 4); }
INLINE __m256i pf_q5_0(const uint8_t *block) {
    return _mm256_or_si256(pf_nibbles(block + 6), pf_fifth_bits(block + 2));
}
INLINE __m256i pf_q5_1(const uint8_t *block) {
    return _mm256_or_si256(pf_nibbles(block + 8), pf_fifth_bits(block + 4));
}
INLINE __m256i pf_q8_0_signed(const uint8_t *block) { return pf_load32(block + 2); }

/* 32 nibbles in 16 bytes, as the signed numbers that IQ4_NL and IQ4_XS mean by them. */
INLINE __m256i pf_iq4(const uint8_t *bytes) {
    const __m128i table = _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53,
                                        69, 89, 113); /* quant.c */
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), pf_nibbles(bytes));
}
INLINE __m256i pf_iq4_nl(const uint8_t *block) { return pf_iq4(block + 2); }
INLINE __m256i pf_iq4_xs(const uint8_t *block, int b) { return pf_iq4(block + 8 + 16 * b); }

/* d times the 8 scales of a block of IQ4_XS. */
INLINE void pf_iq4_xs_scales(const uint8_t *block, float *scale) {
    int high = block[2] | block[3] << 8;
    for (int b = 0; b < 8; b++) {
        int s = (block[4 + b / 2] >> (b % 2 * 4) & 15) | (high >> (2 * b) & 3) << 4;
        scale[b] = pf_half(block) * (float)(s - 32);
    }
}

/* Nibbles 32 i ... 32 i + 31 of Q4_K and Q5_K. */
INLINE __m256i pf_k_nibbles(const uint8_t *q, int i) {
    __m256i bytes = pf_load32(q + i / 2 * 32);
    return _mm256_and_si256(i % 2 ? _mm256_srli_epi16(bytes, 4) : bytes, _mm256_set1_epi8(15));
}

INLINE __m256i pf_q4_k(const uint8_t *block, int i) { return pf_k_nibbles(block + 16, i); }

INLINE __m256i pf_q5_k(const uint8_t *block, int i) {
    const __m256i bit = _mm256_set1_epi8((char)(1 << i));
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(pf_load32(block + 16), bit), bit);
    return _mm256_or_si256(pf_k_nibbles(block + 48, i),
                           _mm256_and_si256(set, _mm256_set1_epi8(16)));
}

/* The eight scales and mins of a Q4_K or Q5_K block, as floats: w = scale q + offset. */
INLINE void pf_k_scales(const uint8_t *block, __m256 *scale, __m256 *offset) {
    uint32_t word[3];
    memcpy(word, block + 4, sizeof word);
    const uint32_t low6 = 0x3f3f3f3f, low4 = 0x0f0f0f0f, low2 = 0x03030303;
    uint64_t scales = (word[0] & low6) | (uint64_t)((word[2] & low4) | (word[0] >> 6 & low2) << 4)
                                             << 32;
    uint64_t mins =
        (word[1] & low6) | (uint64_t)((word[2] >> 4 & low4) | (word[1] >> 6 & low2) << 4) << 32;
    __m256i scales32 = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)scales));
    __m256i mins32 = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)mins));
    *scale = _mm256_mul_ps(pf_half8(block), _mm256_cvtepi32_ps(scales32));
    __m256 min = _mm256_mul_ps(pf_half8(block + 2), _mm256_cvtepi32_ps(mins32));
    *offset = _mm256_xor_ps(min, _mm256_set1_ps(-0.0f));
}

/* Values 32 i ... 32 i + 31 of Q6_K, as 0 ... 63: 32 too many. */
INLINE __m256i pf_q6_k(const uint8_t *block, int i) {
    __m256i low = pf_load32(block + i / 4 * 64 + i % 2 * 32);
    if (i % 4 >= 2) low = _mm256_srli_epi16(low, 4);
    __m256i high = pf_load32(block + 128 + i / 4 * 32);
    high = i % 4 == 0   ? _mm256_slli_epi16(high, 4)
           : i % 4 == 1 ? _mm256_slli_epi16(high, 2)
           : i % 4 == 2 ? high
                        : _mm256_srli_epi16(high, 2);
    return _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi8(15)),
                           _mm256_and_si256(high, _mm256_set1_epi8(48)));
}

INLINE __m256i pf_q6_k_signed(const uint8_t *block, int i) {
    return _mm256_sub_epi8(pf_q6_k(block, i), _mm256_set1_epi8(32));
}

/* Sixteen signed bytes times d. */
INLINE void pf_scale_bytes(__m128i bytes, __m256 d, float out[16]) {
    __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)));
    _mm256_storeu_ps(out, _mm256_mul_ps(d, low));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(d, high));
}

/* The sixteen scales of a Q6_K block, one for each 16 values, times d. */
INLINE void pf_q6_k_scales(const uint8_t *block, float scale[16]) {
    pf_scale_bytes(pf_load16(block + 192), pf_half8(block + 208), scale);
}

/* Two-bit values 32 i ... 32 i + 31 of Q2_K and Q3_K. */
INLINE __m256i pf_two_bits(const uint8_t *q, int i) {
    __m256i bytes = _mm256_srli_epi16(pf_load32(q + i / 4 * 32), i % 4 * 2);
    return _mm256_and_si256(bytes, _mm256_set1_epi8(3));
}

INLINE __m256i pf_q2_k(const uint8_t *block, int i) { return pf_two_bits(block + 16, i); }

/* The scales and mins of a Q2_K block, one for each 16 values: w = scale q - min. */
INLINE void pf_q2_k_scales(const uint8_t *block, float scale[16], float min[16]) {
    const __m128i low4 = _mm_set1_epi8(15);
    __m128i both = pf_load16(block);
    pf_scale_bytes(_mm_and_si128(both, low4), pf_half8(block + 80), scale);
    pf_scale_bytes(_mm_and_si128(_mm_srli_epi16(both, 4), low4), pf_half8(block + 82), min);
}

/* Values 32 i ... 32 i + 31 of Q3_K, as 0 ... 7: 4 too many. */
INLINE __m256i pf_q3_k(const uint8_t *block, int i) {
    const __m256i bit = _mm256_set1_epi8((char)(1 << i));
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(pf_load32(block), bit), bit);
    return _mm256_or_si256(pf_two_bits(block + 32, i), _mm256_and_si256(set, _mm256_set1_epi8(4)));
}

INLINE __m256i pf_q3_k_signed(const uint8_t *block, int i) {
    return _mm256_sub_epi8(pf_q3_k(block, i), _mm256_set1_epi8(4));
}

/* The sixteen scales of a Q3_K block, times d: their low four bits are in 8 bytes, the two above
 * in 4 more. */
INLINE void pf_q3_k_scales(const uint8_t *block, float scale[16]) {
    const uint64_t low4 = 0x0f0f0f0f0f0f0f0f, low2 = 0x03030303;
    uint64_t low;
    uint32_t high;
    memcpy(&low, block + 96, sizeof low);
    memcpy(&high, block + 104, sizeof high);
    uint64_t first = (low & low4) | ((high & low2) | (high >> 2 & low2) << 32) << 4;
    uint64_t second = (low >> 4 & low4) | ((high >> 4 & low2) | (high >> 6 & low2) << 32) << 4;
    __m128i scales = _mm_set_epi64x((int64_t)second, (int64_t)first);
    pf_scale_bytes(_mm_sub_epi8(scales, _mm_set1_epi8(32)), pf_half8(block + 108), scale);
}

/* Two scales of 16 values each in lanes that hold 4 values: scale[0] four times, then scale[1]. */
INLINE __m256 pf_two_scales(const float *scale) {
    return _mm256_set_m128(_mm_broadcast_ss(scale + 1), _mm_broadcast_ss(scale));
}

#endif
