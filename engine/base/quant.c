/* floor 1.1 - block formats: values <-> the blocks of ggml's tensor types, in plain C.
 *
 * Every block type stores w = d * q (+ m): q is a small integer, and 16 or 32 values share d and
 * m. The results must be the same bits as ggml's, so a product and the sum that follows it are two
 * statements: the compiler may then not fuse them into one rounding. Numbers are little-endian in
 * the file and are loaded byte by byte, because blocks (18, 34, 210 bytes) are not aligned. */
#include "quant.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- 16-bit floats ---- */

float pf_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff;
    if (exponent == 0x1f) /* infinity, or NaN: quiet, as the hardware converts it */
        return float_of(sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent == 0) { /* zero, subnormal: mantissa * 2^-24, exact in a float */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t pf_f32_to_f16(float value) {
    uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
    uint32_t sign = (bits >> 16) & 0x8000;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00); /* 65520 and up round to infinity */
    /* Below 2^-14 a half is a multiple of 2^-24. Adding 0.5 rounds to one, because the last bit of
     * a float in [0.5, 1) is worth 2^-24. */
    if (magnitude < 0x38800000)
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    /* Round the 13 low bits to nearest even; a carry goes into the exponent, as it should. */
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

float pf_bf16_to_f32(uint16_t bits) { return float_of((uint32_t)bits << 16); }

uint16_t pf_f32_to_bf16(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t load16(const uint8_t *bytes) { return (uint16_t)(bytes[0] | bytes[1] << 8); }

static uint32_t load32(const uint8_t *bytes) {
    return (uint32_t)load16(bytes) | (uint32_t)load16(bytes + 2) << 16;
}

static float load_half(const uint8_t *bytes) { return pf_f16_to_f32(load16(bytes)); }

/* ---- blocks of 32: value j is the low nibble of byte j, value j + 16 its high nibble ---- */

/* d, 16 bytes of nibbles: w = d (q - 8) */
static void q4_0(const uint8_t *block, float *w) {
    float d = load_half(block);
    for (int j = 0; j < 16; j++) {
        w[j] = (float)((block[2 + j] & 15) - 8) * d;
        w[j + 16] = (float)((block[2 + j] >> 4) - 8) * d;
    }
}

/* d, m, 16 bytes of nibbles: w = d q + m */
static void q4_1(const uint8_t *block, float *w) {
    float d = load_half(block), m = load_half(block + 2);
    for (int j = 0; j < 16; j++) {
        float low = (float)(block[4 + j] & 15) * d, high = (float)(block[4 + j] >> 4) * d;
        w[j] = low + m;
        w[j + 16] = high + m;
    }
}

/* The fifth bit of value j is bit j of a 32-bit word. */
static int fifth_bit(uint32_t word, int j) { return (int)(word >> j & 1) << 4; }

/* d, fifth bits, 16 bytes of nibbles: w = d (q - 16) */
static void q5_0(const uint8_t *block, float *w) {
    float d = load_half(block);
    uint32_t high = load32(block + 2);
    for (int j = 0; j < 16; j++) {
        w[j] = (float)(((block[6 + j] & 15) | fifth_bit(high, j)) - 16) * d;
        w[j + 16] = (float)((block[6 + j] >> 4 | fifth_bit(high, j + 16)) - 16) * d;
    }
}

/* d, m, fifth bits, 16 bytes of nibbles: w = d q + m */
static void q5_1(const uint8_t *block, float *w) {
    float d = load_half(block), m = load_half(block + 2);
    uint32_t high = load32(block + 4);
    for (int j = 0; j < 16; j++) {
        float first = (float)((block[8 + j] & 15) | fifth_bit(high, j)) * d;
        float second = (float)(block[8 + j] >> 4 | fifth_bit(high, j + 16)) * d;
        w[j] = first + m;
        w[j + 16] = second + m;
    }
}

/* d, 32 int8: w = d q */
static void q8_0(const uint8_t *block, float *w) {
    float d = load_half(block);
    for (int j = 0; j < 32; j++) w[j] = (float)(int8_t)block[2 + j] * d;
}

/* ---- blocks of 256: sub-blocks of 16 or 32 whose own small scales share a float ---- */

/* 16 bytes of scale | min << 4, 64 bytes of 2-bit q, d, dmin: w = d scale q - dmin min.
 * Each half of 128 values has 32 bytes; bits 2s, 2s + 1 of byte l are value 32 s + l. */
static void q2_k(const uint8_t *block, float *w) {
    const uint8_t *scales = block, *q = block + 16;
    float d = load_half(block + 80), dmin = load_half(block + 82);
    for (int j = 0; j < 16; j++) { /* sub-blocks of 16 values */
        const uint8_t *bytes = q + j / 8 * 32 + j % 2 * 16;
        int shift = j % 8 / 2 * 2;
        float scale = d * (float)(scales[j] & 15), min = dmin * (float)(scales[j] >> 4);
        for (int l = 0; l < 16; l++) {
            float product = scale * (float)(bytes[l] >> shift & 3);
            w[16 * j + l] = product - min;
        }
    }
}

/* 32 bytes of third bits, 64 bytes of 2-bit q as in q2_k, 12 bytes of 6-bit scales, d:
 * w = d (scale - 32) (q - 4 if the third bit is 0). Value i has bit i / 32 of byte i % 32. */
static void q3_k(const uint8_t *block, float *w) {
    const uint8_t *third = block, *q = block + 32, *packed = block + 96;
    float d = load_half(block + 108);
    for (int j = 0; j < 16; j++) { /* sub-blocks of 16 values */
        int low = packed[j % 8] >> (j / 8 * 4) & 15, high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
        float scale = d * (float)((low | high << 4) - 32);
        const uint8_t *bytes = q + j / 8 * 32 + j % 2 * 16, *bits = third + j % 2 * 16;
        int shift = j % 8 / 2 * 2;
        for (int l = 0; l < 16; l++) {
            int value = (bytes[l] >> shift & 3) + (bits[l] >> (j / 2) & 1) * 4 - 4;
            w[16 * j + l] = scale * (float)value;
        }
    }
}

/* The 8 scales and 8 mins of q4_k and q5_k, 6 bits each in 12 bytes: the first four of both in the
 * low bits of bytes 0-3 and 4-7, the others' low nibbles in bytes 8-11, their upper two bits on top
 * of bytes 0-7. */
static void unpack_k_scales(const uint8_t *packed, uint8_t *scales, uint8_t *mins) {
    for (int j = 0; j < 4; j++) {
        scales[j] = packed[j] & 63;
        mins[j] = packed[4 + j] & 63;
        scales[4 + j] = (uint8_t)((packed[8 + j] & 15) | (packed[j] >> 6) << 4);
        mins[4 + j] = (uint8_t)(packed[8 + j] >> 4 | (packed[4 + j] >> 6) << 4);
    }
}

/* d, dmin, scales and mins, [fifth bits: 32 bytes, value i has bit i / 32 of byte i % 32], 128
 * bytes of nibbles: of each 64 values the first 32 are the low nibbles of 32 bytes, the others the
 * high ones. w = d scale q - dmin min. */
static void q4_k_or_q5_k(const uint8_t *block, const uint8_t *fifth, const uint8_t *q, float *w) {
    uint8_t scales[8], mins[8];
    unpack_k_scales(block + 4, scales, mins);
    float d = load_half(block), dmin = load_half(block + 2);
    for (int i = 0; i < 256; i++) {
        int value = q[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
        if (fifth) value |= (fifth[i % 32] >> (i / 32) & 1) << 4;
        float scale = d * (float)scales[i / 32], min = dmin * (float)mins[i / 32];
        float product = scale * (float)value;
        w[i] = product - min;
    }
}

static void q4_k(const uint8_t *block, float *w) { q4_k_or_q5_k(block, NULL, block + 16, w); }
static void q5_k(const uint8_t *block, float *w) { q4_k_or_q5_k(block, block + 16, block + 48, w); }

/* 128 bytes of low nibbles, 64 bytes of upper 2 bits, 16 int8 scales, d: w = d scale (q - 32).
 * Each half of 128 values: nibbles as 64 bytes (low ones first), upper bits as in q2_k. */
static void q6_k(const uint8_t *block, float *w) {
    const uint8_t *low = block, *high = block + 128, *scales = block + 192;
    float d = load_half(block + 208);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, j = i % 128;
        int q = low[half * 64 + j % 64] >> (j / 64 * 4) & 15;
        q |= (high[half * 32 + j % 32] >> (j / 32 * 2) & 3) << 4;
        float scale = d * (float)(int8_t)scales[i / 16];
        w[i] = scale * (float)(q - 32);
    }
}

/* ---- nibbles that are places in a table ---- */

/* Unevenly spaced: closer around 0. */
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/* 16 bytes of nibbles: w = scale table[q] */
static void iq4_part(const uint8_t *q, float scale, float *w) {
    for (int j = 0; j < 16; j++) {
        w[j] = scale * (float)iq4_values[q[j] & 15];
        w[j + 16] = scale * (float)iq4_values[q[j] >> 4];
    }
}

static void iq4_nl(const uint8_t *block, float *w) { iq4_part(block + 2, load_half(block), w); }

/* d, 2 upper bits of each of 8 scales, their lower 4 bits, 8 parts of 16 bytes: w = d (scale - 32)
 * table[q] */
static void iq4_xs(const uint8_t *block, float *w) {
    float d = load_half(block);
    int high = load16(block + 2);
    for (int b = 0; b < 8; b++) {
        int scale = (block[4 + b / 2] >> (b % 2 * 4) & 15) | (high >> (2 * b) & 3) << 4;
        iq4_part(block + 8 + 16 * b, d * (float)(scale - 32), w + 32 * b);
    }
}

/* ---- rows ---- */

typedef void (*dequantize_block)(const uint8_t *block, float *w);

static const dequantize_block block_functions[PF_TYPE_COUNT] = {
    [PF_Q4_0] = q4_0, [PF_Q4_1] = q4_1,     [PF_Q5_0] = q5_0,     [PF_Q5_1] = q5_1,
    [PF_Q8_0] = q8_0, [PF_IQ4_NL] = iq4_nl, [PF_IQ4_XS] = iq4_xs, [PF_Q2_K] = q2_k,
    [PF_Q3_K] = q3_k, [PF_Q4_K] = q4_k,     [PF_Q5_K] = q5_k,     [PF_Q6_K] = q6_k,
};

void pf_dequantize_row(pf_type type, const void *row, float *values, size_t n) {
    const pf_type_info *info = pf_type_get(type);
    const uint8_t *bytes = row;
    if (type == PF_F32)
        memcpy(values, bytes, n * sizeof *values);
    else if (type == PF_F16)
        for (size_t i = 0; i < n; i++) values[i] = load_half(bytes + 2 * i);
    else if (type == PF_BF16)
        for (size_t i = 0; i < n; i++) values[i] = pf_bf16_to_f32(load16(bytes + 2 * i));
    else
        for (size_t b = 0; b < n / info->block_size; b++)
            block_functions[type](bytes + b * info->block_bytes, values + b * info->block_size);
}

/* ---- quantising ---- */

static void store16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

/* Clamps to [0, 255] and rounds towards zero; NaN gives 0. */
static uint8_t to_byte(float value) { return value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0; }

/* The value of largest magnitude, with its sign; NaN is ignored. */
static float extreme(const float *values, size_t n) {
    float best = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(values[i]) > fabsf(best)) best = values[i];
    return best;
}

static void quantize_q8_0(const float *values, uint8_t *block) {
    float d = fabsf(extreme(values, 32)) / 127, inverse = d != 0 ? 1 / d : 0;
    store16(block, pf_f32_to_f16(d));
    for (int j = 0; j < 32; j++) { /* round half away from zero, in 0 ... 255 around 128 */
        float rounded = roundf(values[j] * inverse);
        block[2 + j] = (uint8_t)((rounded == rounded ? to_byte(rounded + 128) : 128) ^ 0x80);
    }
}

static void quantize_q4_0(const float *values, uint8_t *block) {
    float d = extreme(values, 32) / -8, inverse = d != 0 ? 1 / d : 0;
    store16(block, pf_f32_to_f16(d));
    for (int j = 0; j < 16; j++) {
        float first = values[j] * inverse, second = values[j + 16] * inverse;
        uint8_t low = to_byte(first + 8.5f), high = to_byte(second + 8.5f);
        block[2 + j] = (uint8_t)((low < 15 ? low : 15) | (high < 15 ? high : 15) << 4);
    }
}

bool pf_quantize_row(pf_type type, const float *values, void *row, size_t n) {
    uint8_t *bytes = row;
    switch (type) {
    case PF_F32:
        memcpy(bytes, values, n * sizeof *values);
        return true;
    case PF_F16:
        for (size_t i = 0; i < n; i++) store16(bytes + 2 * i, pf_f32_to_f16(values[i]));
        return true;
    case PF_BF16:
        for (size_t i = 0; i < n; i++) store16(bytes + 2 * i, pf_f32_to_bf16(values[i]));
        return true;
    case PF_Q8_0:
        for (size_t b = 0; b < n / 32; b++) quantize_q8_0(values + 32 * b, bytes + 34 * b);
        return true;
    case PF_Q4_0:
        for (size_t b = 0; b < n / 32; b++) quantize_q4_0(values + 32 * b, bytes + 18 * b);
        return true;
    default:
        return false;
    }
}
