/* floor 1.5 - kernels for aarch64: the most used ones, four floats at a time; the others are those
 * of kernels_plain.c. */
#if defined(__aarch64__)

#include "kernels.h"
#include "matvec_neon.h"
#include "quant.h"

#include <math.h>

/* ---- sums, maxima, updates ---- */

static float dot(const float *a, const float *b, size_t n) {
    float32x4_t sum[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 4; j++)
            sum[j] = vfmaq_f32(sum[j], vld1q_f32(a + i + 4 * j), vld1q_f32(b + i + 4 * j));
    for (; i + 4 <= n; i += 4) sum[0] = vfmaq_f32(sum[0], vld1q_f32(a + i), vld1q_f32(b + i));
    float total = vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    for (; i < n; i++) total = fmaf(a[i], b[i], total);
    return total;
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), vld1q_f32(x + i), alpha));
    for (; i < n; i++) y[i] = fmaf(alpha, x[i], y[i]);
}

static void scale(float *y, float alpha, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vmulq_n_f32(vld1q_f32(y + i), alpha));
    for (; i < n; i++) y[i] *= alpha;
}

/* The larger of the two; `best` where x is NaN, as in the plain kernels and unlike FMAX. */
INLINE float32x4_t larger(float32x4_t x, float32x4_t best) {
    return vbslq_f32(vcgtq_f32(x, best), x, best);
}

static float max(const float *x, size_t n) {
    float32x4_t best = vdupq_n_f32(x[0]);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) best = larger(vld1q_f32(x + i), best);
    for (; i < n; i++) best = larger(vdupq_n_f32(x[i]), best);
    return vmaxvq_f32(best);
}

/* ---- exp ---- */

/* exp(x) for x <= 88; method and error as in vector_avx512.h. NaN stays NaN, since its n becomes
 * the integer 0. */
INLINE float32x4_t exp4(float32x4_t x) {
    const float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 0x1.715476p+0f));
    float32x4_t r = vfmsq_n_f32(x, n, 0x1.62e4p-1f);
    r = vfmsq_n_f32(r, n, 0x1.7f7d1cp-20f);
    float32x4_t p = vdupq_n_f32(1.0f / 5040);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 720), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    int32x4_t power = vshlq_n_s32(vcvtnq_s32_f32(n), 23); /* to the exponent's bits */
    int32x4_t bits = vaddq_s32(vreinterpretq_s32_f32(p), power);
    bits = vbicq_s32(bits, vreinterpretq_s32_u32(vcltq_f32(x, vdupq_n_f32(-87))));
    return vreinterpretq_f32_s32(bits);
}

static float exp_sum(float *y, const float *x, float shift, size_t n) {
    const float32x4_t offset = vdupq_n_f32(shift);
    float32x4_t sum = vdupq_n_f32(0);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t e = exp4(vsubq_f32(vld1q_f32(x + i), offset));
        vst1q_f32(y + i, e);
        sum = vaddq_f32(sum, e);
    }
    float total = vaddvq_f32(sum);
    for (; i < n; i++) {
        y[i] = vgetq_lane_f32(exp4(vdupq_n_f32(x[i] - shift)), 0);
        total += y[i];
    }
    return total;
}

/* ---- activations to int8 ---- */

static void quantize_activation(pf_activation a, size_t n) {
    for (size_t b = 0; b < n / 32; b++) {
        float32x4_t x[8], largest = vdupq_n_f32(0);
        for (size_t j = 0; j < 8; j++) {
            x[j] = vld1q_f32(a.x + 32 * b + 4 * j);
            largest = larger(vabsq_f32(x[j]), largest);
        }
        float most = vmaxvq_f32(largest), inverse = most > 0 ? 127 / most : 0;
        int16x4_t q[8];
        int32x4_t sum = vdupq_n_s32(0);
        for (size_t j = 0; j < 8; j++) {
            float32x4_t rounded = vrndnq_f32(vmulq_n_f32(x[j], inverse));
            uint32x4_t sane = vcaleq_f32(rounded, vdupq_n_f32(127)); /* NaN and infinity give 0 */
            int32x4_t whole = vandq_s32(vcvtq_s32_f32(rounded), vreinterpretq_s32_u32(sane));
            sum = vaddq_s32(sum, whole);
            q[j] = vmovn_s32(whole);
        }
        for (size_t j = 0; j < 8; j += 2)
            vst1_s8(a.q + 32 * b + 4 * j, vmovn_s16(vcombine_s16(q[j], q[j + 1])));
        a.scale[b] = most / 127;
        a.sum[b] = a.scale[b] * (float)vaddvq_s32(sum);
    }
}

/* ---- weights times one token ---- */

/* Four weights as floats; `row` may be unaligned. */
typedef float32x4_t (*load_weights)(const char *row, size_t i);

INLINE float32x4_t load_f32(const char *row, size_t i) {
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)row + 4 * i));
}

INLINE float32x4_t load_f16(const char *row, size_t i) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)row + 2 * i)));
}

/* A row times x, in four independent sums; the last n % 4 columns go through a padded copy. */
INLINE float one_row(pf_type type, const char *row, size_t n, const float *x, load_weights load) {
    float32x4_t sum[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 4; j++)
            sum[j] = vfmaq_f32(sum[j], load(row, i + 4 * j), vld1q_f32(x + i + 4 * j));
    for (; i + 4 <= n; i += 4) sum[0] = vfmaq_f32(sum[0], load(row, i), vld1q_f32(x + i));
    if (i < n) {
        float weights[4] = {0}, padded_x[4] = {0};
        memcpy(padded_x, x + i, (n - i) * sizeof *x);
        pf_dequantize_row(type, row + pf_row_bytes(type, i), weights, n - i);
        sum[1] = vfmaq_f32(sum[1], vld1q_f32(weights), vld1q_f32(padded_x));
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
}

INLINE void matrix(pf_matrix W, const float *x, float *y, size_t begin, size_t end,
                   load_weights load) {
    size_t row_bytes = pf_row_bytes(W.type, W.cols);
    for (size_t r = begin; r < end; r++)
        y[r] = one_row(W.type, (const char *)W.data + r * row_bytes, W.cols, x, load);
}

static void matvec_floats(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (W.type == PF_F32)
        matrix(W, a.x, y, begin, end, load_f32);
    else if (W.type == PF_F16)
        matrix(W, a.x, y, begin, end, load_f16);
    else
        pf_kernels_plain.matvec(W, a, y, begin, end);
}

/* Without SDOT: the sum of two products, at most 2 * 128 * 127, just fits 16 bits; pairs of such
 * sums are added up in 32 bits. */
INLINE int32x4_t multiply(int8x16x2_t w, int8x16x2_t q) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int half = 0; half < 2; half++) {
        int16x8_t pairs = vmull_s8(vget_low_s8(w.val[half]), vget_low_s8(q.val[half]));
        sum = vpadalq_s16(sum, vmlal_high_s8(pairs, w.val[half], q.val[half]));
    }
    return sum;
}

static void matvec(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (a.q && pf_neon_matvec_int8(W, a, y, begin, end, multiply)) return;
    matvec_floats(W, a, y, begin, end);
}

static void matvec_neondot(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (a.q && pf_matvec_int8_neondot(W, a, y, begin, end)) return;
    matvec_floats(W, a, y, begin, end);
}

/* ---- left to the plain kernels ----
 *
 * Wrappers: a field of pf_kernels_plain is not a constant expression in C11. */

static void rms_norm(float *y, const float *x, const float *weight, float eps, size_t n) {
    pf_kernels_plain.rms_norm(y, x, weight, eps, n);
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, float eps,
                       size_t n) {
    pf_kernels_plain.layer_norm(y, x, weight, bias, eps, n);
}

static void swiglu(float *gate, const float *up, size_t n) { pf_kernels_plain.swiglu(gate, up, n); }
static void gelu_tanh(float *x, size_t n) { pf_kernels_plain.gelu_tanh(x, n); }
static void gelu_erf(float *x, size_t n) { pf_kernels_plain.gelu_erf(x, n); }

static void favor_step(float *S, float *z, size_t M, size_t D, float decay, const float *phi_k,
                       const float *v, const float *phi_q, size_t G, float *out, float *den) {
    pf_kernels_plain.favor_step(S, z, M, D, decay, phi_k, v, phi_q, G, out, den);
}

static void scores(const float *q, size_t G, pf_matrix K, float factor, float *out, size_t ld) {
    pf_kernels_plain.scores(q, G, K, factor, out, ld);
}

static void weighted_rows(const float *weights, size_t ld, size_t G, pf_matrix V, float *out) {
    pf_kernels_plain.weighted_rows(weights, ld, G, V, out);
}

static void to_f16(uint16_t *y, const float *x, size_t n) { pf_kernels_plain.to_f16(y, x, n); }

static void flash_attention(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                            size_t D, ptrdiff_t first, ptrdiff_t last) {
    pf_kernels_plain.flash_attention(tile, K, V, n, D, first, last);
}

#define COMMON                                                                                     \
    .dot = dot, .axpy = axpy, .scale = scale, .max = max, .exp_sum = exp_sum,                      \
    .rms_norm = rms_norm, .layer_norm = layer_norm, .swiglu = swiglu, .gelu_tanh = gelu_tanh,      \
    .gelu_erf = gelu_erf, .favor_step = favor_step, .scores = scores,                              \
    .weighted_rows = weighted_rows, .to_f16 = to_f16, .flash_attention = flash_attention,          \
    .quantize_activation = quantize_activation, .dequantize_row = pf_dequantize_row

const pf_kernels pf_kernels_neon = {.name = "neon", .matvec = matvec, COMMON};
const pf_kernels pf_kernels_neondot = {.name = "neon-dotprod", .matvec = matvec_neondot, COMMON};

#else
typedef int pf_no_neon; /* ISO C wants one declaration per file */
#endif
