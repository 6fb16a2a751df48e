/* floor 1.2 - block types times int8 activations for aarch64: what the files with and without
 * dot-product instructions share. Each passes its own `multiply`. */
#ifndef PF_MATVEC_NEON_H
#define PF_MATVEC_NEON_H

#include "kernels.h"

#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The int8 products alone (Q8_0, Q4_0, IQ4_NL and IQ4_XS; a.q set) by SDOT; false for other
 * types. */
bool pf_matvec_int8_neondot(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);

/* Four sums of the products of 32 columns; which columns go into which sum may differ. */
typedef int32x4_t (*pf_neon_multiply)(int8x16x2_t w, int8x16x2_t q);

/* The scale is the first two bytes of a block, which may be unaligned. */
INLINE float pf_neon_block_scale(const uint8_t *block) {
    uint16_t half;
    memcpy(&half, block, sizeof half);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0);
}

INLINE int8x16x2_t pf_neon_load_q8_0(const uint8_t *block) {
    int8x16x2_t w = {
        {vreinterpretq_s8_u8(vld1q_u8(block + 2)), vreinterpretq_s8_u8(vld1q_u8(block + 18))}};
    return w;
}

/* The low nibbles of the 16 bytes are the first 16 weights, the high nibbles the others. */
INLINE uint8x16x2_t pf_neon_nibbles(const uint8_t *bytes) {
    uint8x16_t both = vld1q_u8(bytes);
    uint8x16x2_t nibbles = {{vandq_u8(both, vdupq_n_u8(15)), vshrq_n_u8(both, 4)}};
    return nibbles;
}

/* All plus 8. */
INLINE int8x16x2_t pf_neon_load_q4_0(const uint8_t *block) {
    uint8x16x2_t q = pf_neon_nibbles(block + 2);
    int8x16x2_t w = {{vsubq_s8(vreinterpretq_s8_u8(q.val[0]), vdupq_n_s8(8)),
                      vsubq_s8(vreinterpretq_s8_u8(q.val[1]), vdupq_n_s8(8))}};
    return w;
}

/* 32 nibbles as the numbers that IQ4_NL and IQ4_XS mean by them (quant.c): bytes from a table. */
INLINE int8x16x2_t pf_neon_iq4(const uint8_t *bytes) {
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
    int8x16_t table = vld1q_s8(values);
    uint8x16x2_t q = pf_neon_nibbles(bytes);
    int8x16x2_t w = {{vqtbl1q_s8(table, q.val[0]), vqtbl1q_s8(table, q.val[1])}};
    return w;
}

INLINE int8x16x2_t pf_neon_load_iq4_nl(const uint8_t *block) { return pf_neon_iq4(block + 2); }

/* The scale of part b of 8, without d. */
INLINE int pf_neon_iq4_xs_scale(const uint8_t *block, size_t b) {
    int high = block[2 + b / 4] >> (b % 4 * 2) & 3, low = block[4 + b / 2] >> (b % 2 * 4) & 15;
    return (high << 4 | low) - 32;
}

/* The rows [begin, end), in two independent sums: of even and of odd blocks. */
INLINE void pf_neon_int8_rows(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                              int8x16x2_t (*load)(const uint8_t *block),
                              pf_neon_multiply multiply) {
    size_t block_bytes = pf_row_bytes(W.type, 32), blocks = W.cols / 32;
    const uint8_t *block = (const uint8_t *)W.data + begin * blocks * block_bytes;
    for (size_t r = begin; r < end; r++) {
        float32x4_t sum[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t b = 0; b < blocks; b++, block += block_bytes) {
            int8x16x2_t q = {{vld1q_s8(a.q + 32 * b), vld1q_s8(a.q + 32 * b + 16)}};
            float32x4_t products = vcvtq_f32_s32(multiply(load(block), q)); /* < 2^24: exact */
            sum[1] = vfmaq_n_f32(sum[1], products, pf_neon_block_scale(block) * a.scale[b]);
            float32x4_t other = sum[0];
            sum[0] = sum[1];
            sum[1] = other;
        }
        y[r] = vaddvq_f32(vaddq_f32(sum[0], sum[1]));
    }
}

/* The same for IQ4_XS, whose blocks of 256 have eight parts with a scale each. */
INLINE void pf_neon_iq4_xs_rows(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                                pf_neon_multiply multiply) {
    size_t blocks = W.cols / 256, block_bytes = pf_row_bytes(W.type, 256);
    const uint8_t *block = (const uint8_t *)W.data + begin * blocks * block_bytes;
    for (size_t r = begin; r < end; r++) {
        float32x4_t sum[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
        for (size_t i = 0; i < blocks; i++, block += block_bytes) {
            float d = pf_neon_block_scale(block);
            for (size_t b = 0; b < 8; b++) {
                const int8_t *from = a.q + 256 * i + 32 * b;
                int8x16x2_t q = {{vld1q_s8(from), vld1q_s8(from + 16)}};
                int8x16x2_t w = pf_neon_iq4(block + 8 + 16 * b);
                float scale = d * (float)pf_neon_iq4_xs_scale(block, b) * a.scale[8 * i + b];
                sum[b % 2] = vfmaq_n_f32(sum[b % 2], vcvtq_f32_s32(multiply(w, q)), scale);
            }
        }
        y[r] = vaddvq_f32(vaddq_f32(sum[0], sum[1]));
    }
}

INLINE bool pf_neon_matvec_int8(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                                pf_neon_multiply multiply) {
    if (W.type == PF_Q8_0)
        pf_neon_int8_rows(W, a, y, begin, end, pf_neon_load_q8_0, multiply);
    else if (W.type == PF_Q4_0)
        pf_neon_int8_rows(W, a, y, begin, end, pf_neon_load_q4_0, multiply);
    else if (W.type == PF_IQ4_NL)
        pf_neon_int8_rows(W, a, y, begin, end, pf_neon_load_iq4_nl, multiply);
    else if (W.type == PF_IQ4_XS)
        pf_neon_iq4_xs_rows(W, a, y, begin, end, multiply);
    else
        return false;
    return true;
}

#endif
