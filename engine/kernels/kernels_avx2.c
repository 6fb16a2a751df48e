/* floor 1.5 - kernels for AVX2 + FMA: eight floats at a time; the last few by masked loads and
 * stores. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "vector_avx2.h"

#include <math.h>

INLINE float max8(__m256 x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* ---- sums, maxima, updates ---- */

static float dot(const float *a, const float *b, size_t n) {
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (size_t j = 0; j < 4; j++)
            sum[j] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_loadu_ps(b + i + 8 * j),
                                     sum[j]);
    for (size_t j = 0; i < n; i += 8, j++)
        sum[j] = _mm256_fmadd_ps(load_first(a + i, n - i), load_first(b + i, n - i), sum[j]);
    return pf_sum8(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    __m256 factor = _mm256_set1_ps(alpha);
    for (size_t i = 0; i < n; i += 8)
        store_first(y + i, n - i,
                    _mm256_fmadd_ps(factor, load_first(x + i, n - i), load_first(y + i, n - i)));
}

static void scale(float *y, float alpha, size_t n) {
    __m256 factor = _mm256_set1_ps(alpha);
    for (size_t i = 0; i < n; i += 8)
        store_first(y + i, n - i, _mm256_mul_ps(factor, load_first(y + i, n - i)));
}

static float max(const float *x, size_t n) {
    __m256 best = _mm256_set1_ps(x[0]);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) best = _mm256_max_ps(_mm256_loadu_ps(x + i), best);
    if (i < n) {
        __m256 tail = _mm256_maskload_ps(x + i, lanes(n - i));
        tail = _mm256_blendv_ps(best, tail, _mm256_castsi256_ps(lanes(n - i)));
        best = _mm256_max_ps(tail, best);
    }
    return max8(best);
}

/* ---- exp ---- */

static float exp_sum(float *y, const float *x, float shift, size_t n) {
    __m256 sum = _mm256_setzero_ps(), offset = _mm256_set1_ps(shift);
    for (size_t i = 0; i < n; i += 8) {
        __m256 e = pf_exp8(_mm256_sub_ps(load_first(x + i, n - i), offset));
        store_first(y + i, n - i, e);
        sum = _mm256_add_ps(sum, _mm256_and_ps(e, _mm256_castsi256_ps(lanes(n - i))));
    }
    return pf_sum8(sum);
}

/* ---- norms ---- */

static void rms_norm(float *y, const float *x, const float *weight, float eps, size_t n) {
    __m256 inverse = _mm256_set1_ps(1 / sqrtf(dot(x, x, n) / (float)n + eps));
    for (size_t i = 0; i < n; i += 8) {
        __m256 scaled = _mm256_mul_ps(load_first(x + i, n - i), inverse);
        store_first(y + i, n - i, _mm256_mul_ps(scaled, load_first(weight + i, n - i)));
    }
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, float eps,
                       size_t n) {
    __m256 sum = _mm256_setzero_ps(), squares = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) sum = _mm256_add_ps(sum, load_first(x + i, n - i));
    __m256 mean = _mm256_set1_ps(pf_sum8(sum) / (float)n);
    for (size_t i = 0; i < n; i += 8) {
        __m256 centred = _mm256_sub_ps(load_first(x + i, n - i), mean);
        centred = _mm256_and_ps(centred, _mm256_castsi256_ps(lanes(n - i)));
        squares = _mm256_fmadd_ps(centred, centred, squares);
    }
    __m256 inverse = _mm256_set1_ps(1 / sqrtf(pf_sum8(squares) / (float)n + eps));
    for (size_t i = 0; i < n; i += 8) {
        __m256 scaled = _mm256_mul_ps(_mm256_sub_ps(load_first(x + i, n - i), mean), inverse);
        __m256 shift = bias ? load_first(bias + i, n - i) : _mm256_setzero_ps();
        store_first(y + i, n - i, _mm256_fmadd_ps(scaled, load_first(weight + i, n - i), shift));
    }
}

/* ---- FAVOR+ ---- */

/* favor_step on a stripe of S: all M rows of `width` <= 16 columns (two registers), for G <= 4
 * queries. */
INLINE void favor_stripe(float *S, size_t M, size_t D, size_t width, float decay,
                         const float *phi_k, const float *v, const float *phi_q, float *out,
                         const size_t G) {
    const __m256i mask[2] = {lanes(width), lanes(width > 8 ? width - 8 : 0)};
    __m256 value[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()}, factor = _mm256_set1_ps(decay);
    __m256 total[4][2];
    for (size_t k = 0; k < 2; k++) {
        if (phi_k) value[k] = _mm256_maskload_ps(v + 8 * k, mask[k]);
        for (size_t g = 0; g < G; g++) total[g][k] = _mm256_setzero_ps();
    }
    for (size_t m = 0; m < M; m++, S += D) {
        __m256 row[2];
        for (size_t k = 0; k < 2; k++) row[k] = _mm256_maskload_ps(S + 8 * k, mask[k]);
        if (phi_k) {
            __m256 phi = _mm256_set1_ps(phi_k[m]);
            for (size_t k = 0; k < 2; k++) {
                row[k] = _mm256_fmadd_ps(phi, value[k], _mm256_mul_ps(factor, row[k]));
                _mm256_maskstore_ps(S + 8 * k, mask[k], row[k]);
            }
        }
        for (size_t g = 0; g < G; g++) {
            __m256 phi = _mm256_set1_ps(phi_q[g * M + m]);
            for (size_t k = 0; k < 2; k++) total[g][k] = _mm256_fmadd_ps(phi, row[k], total[g][k]);
        }
    }
    for (size_t g = 0; g < G; g++)
        for (size_t k = 0; k < 2; k++)
            _mm256_maskstore_ps(out + g * D + 8 * k, mask[k], total[g][k]);
}

/* The same for any G, four queries at most: the number is a constant in each call, so that the
 * compiler unrolls the loops. */
static void favor_columns(float *S, size_t M, size_t D, size_t width, float decay,
                          const float *phi_k, const float *v, const float *phi_q, float *out,
                          size_t G) {
    switch (G) {
    case 0:
        favor_stripe(S, M, D, width, decay, phi_k, v, phi_q, out, 0);
        break;
    case 1:
        favor_stripe(S, M, D, width, decay, phi_k, v, phi_q, out, 1);
        break;
    case 2:
        favor_stripe(S, M, D, width, decay, phi_k, v, phi_q, out, 2);
        break;
    case 3:
        favor_stripe(S, M, D, width, decay, phi_k, v, phi_q, out, 3);
        break;
    default:
        favor_stripe(S, M, D, width, decay, phi_k, v, phi_q, out, 4);
    }
}

/* Stripes of 16 columns, four queries at a time; S is updated with the first four. */
static void favor_step(float *S, float *z, size_t M, size_t D, float decay, const float *phi_k,
                       const float *v, const float *phi_q, size_t G, float *out, float *den) {
    for (size_t d = 0; d < D; d += 16) {
        size_t width = D - d < 16 ? D - d : 16, g = 0;
        do {
            favor_columns(S + d, M, D, width, decay, g == 0 ? phi_k : NULL, v ? v + d : NULL,
                          phi_q + g * M, out + g * D + d, G - g);
            g += 4;
        } while (g < G);
    }
    if (phi_k) {
        scale(z, decay, M);
        axpy(z, 1, phi_k, M);
    }
    for (size_t g = 0; g < G; g++) den[g] = dot(phi_q + g * M, z, M);
}

/* ---- activations to int8 ---- */

static void quantize_activation(pf_activation a, size_t n) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (size_t b = 0; b < n / 32; b++) {
        __m256 x[4], largest = _mm256_setzero_ps();
        for (size_t j = 0; j < 4; j++) {
            x[j] = _mm256_loadu_ps(a.x + 32 * b + 8 * j);
            largest = _mm256_max_ps(_mm256_andnot_ps(sign, x[j]), largest); /* skips NaN */
        }
        float most = max8(largest);
        __m256 inverse = _mm256_set1_ps(most > 0 ? 127 / most : 0);
        __m256i q[4], sum = _mm256_setzero_si256();
        for (size_t j = 0; j < 4; j++) {
            __m256 scaled = _mm256_mul_ps(x[j], inverse);
            __m256 sane =
                _mm256_cmp_ps(_mm256_andnot_ps(sign, scaled), _mm256_set1_ps(128), _CMP_LT_OQ);
            scaled = _mm256_and_ps(scaled, sane); /* NaN and infinity give 0 */
            q[j] = _mm256_cvtps_epi32(scaled);
            sum = _mm256_add_epi32(sum, q[j]);
        }
        /* Packing works within 128-bit halves; the permutation restores the order of the fours. */
        __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes, order);
        _mm256_storeu_si256((__m256i *)(void *)(a.q + 32 * b), bytes);
        a.scale[b] = most / 127;
        a.sum[b] = a.scale[b] * pf_sum8(_mm256_cvtepi32_ps(sum)); /* integers below 2^12: exact */
    }
}

/* ---- code for any width ---- */

enum { ROWS = 4 }; /* flash attention in register tiles of 4 keys by 16 queries */

#include "flash_attention_tile_x86.h"
#include "mlp_tile_x86.h"

static void flash_attention(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                            size_t D, ptrdiff_t first, ptrdiff_t last) {
    for (size_t lane = 0; lane < tile->n; lane += 2 * LANES)
        flash_attention_columns(tile, K, V, n, D, first, last, lane, 2);
}

/* ---- the tables ---- */

#define AVX2_KERNELS                                                                               \
    .dot = dot, .axpy = axpy, .scale = scale, .max = max, .exp_sum = exp_sum,                      \
    .rms_norm = rms_norm, .layer_norm = layer_norm, .swiglu = swiglu, .gelu_tanh = gelu_tanh,      \
    .gelu_erf = gelu_erf, .favor_step = favor_step, .to_f16 = pf_to_f16_avx2,                      \
    .flash_attention = flash_attention, .quantize_activation = quantize_activation,                \
    .dequantize_row = pf_dequantize_row_avx2

const pf_kernels pf_kernels_avx2 = {.name = "avx2",
                                    .matvec = pf_matvec_avx2,
                                    .scores = pf_scores_avx2,
                                    .weighted_rows = pf_weighted_rows_avx2,
                                    AVX2_KERNELS};
const pf_kernels pf_kernels_avx2_amd = {.name = "avx2-amd",
                                        .matvec = pf_matvec_avx2_amd,
                                        .scores = pf_scores_avx2_amd,
                                        .weighted_rows = pf_weighted_rows_avx2_amd,
                                        AVX2_KERNELS};

#else
typedef int pf_no_avx2; /* ISO C wants one declaration per file */
#endif
