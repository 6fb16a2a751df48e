/* floor 1.2 - block types times int8 activations for aarch64: what the files with and without
 * dot-product instructions share. Each passes its own `multiply`. */
#ifndef PF_MATVEC_NEON_H
#define PF_MATVEC_NEON_H

#include "kernels.h"

#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The int8 products alone (Q8_0 and Q4_0; a.q set) by SDOT; false for other types. */
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

/* The low nibbles of the 16 bytes are the first 16 weights, the high nibbles the others; all plus
 * 8. */
INLINE int8x16x2_t pf_neon_load_q4_0(const uint8_t *block) {
    uint8x16_t both = vld1q_u8(block + 2);
    int8x16_t low = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
    int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
    int8x16x2_t w = {{vsubq_s8(low, vdupq_n_s8(8)), vsubq_s8(high, vdupq_n_s8(8))}};
    return w;
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

INLINE bool pf_neon_matvec_int8(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end,
                                pf_neon_multiply multiply) {
    if (W.type == PF_Q8_0)
        pf_neon_int8_rows(W, a, y, begin, end, pf_neon_load_q8_0, multiply);
    else if (W.type == PF_Q4_0)
        pf_neon_int8_rows(W, a, y, begin, end, pf_neon_load_q4_0, multiply);
    else
        return false;
    return true;
}

#endif
