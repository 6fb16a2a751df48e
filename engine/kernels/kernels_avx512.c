/* floor 1.5 - kernels for AVX-512 (F, BW, DQ, VL): sixteen floats at a time; the last few by
 * masks. */
#if defined(__x86_64__)

#include "kernels_x86.h"
#include "vector_avx512.h"

#include <math.h>

/* ---- sums, maxima, updates ---- */

static float dot(const float *a, const float *b, size_t n) {
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        for (size_t j = 0; j < 4; j++)
            sum[j] = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16 * j),
                                     _mm512_loadu_ps(b + i + 16 * j), sum[j]);
    for (size_t j = 0; i < n; i += 16, j++) {
        __mmask16 mask = lanes(n - i);
        sum[j] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i),
                                 _mm512_maskz_loadu_ps(mask, b + i), sum[j]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    __m512 factor = _mm512_set1_ps(alpha);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 sum = _mm512_fmadd_ps(factor, _mm512_maskz_loadu_ps(mask, x + i),
                                     _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

static void scale(float *y, float alpha, size_t n) {
    __m512 factor = _mm512_set1_ps(alpha);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(y + i, mask,
                              _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(mask, y + i)));
    }
}

static float max(const float *x, size_t n) {
    __m512 best = _mm512_set1_ps(x[0]);
    for (size_t i = 0; i < n; i += 16) /* where x is NaN the result is `best`, as in plain C */
        best = _mm512_max_ps(_mm512_mask_loadu_ps(best, lanes(n - i), x + i), best);
    return _mm512_reduce_max_ps(best);
}

/* ---- exp ---- */

static float exp_sum(float *y, const float *x, float shift, size_t n) {
    __m512 sum = _mm512_setzero_ps(), offset = _mm512_set1_ps(shift);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 e = pf_exp16(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), offset));
        _mm512_mask_storeu_ps(y + i, mask, e);
        sum = _mm512_mask_add_ps(sum, mask, sum, e);
    }
    return _mm512_reduce_add_ps(sum);
}

/* ---- norms ---- */

static void rms_norm(float *y, const float *x, const float *weight, float eps, size_t n) {
    __m512 inverse = _mm512_set1_ps(1 / sqrtf(dot(x, x, n) / (float)n + eps));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), inverse);
        _mm512_mask_storeu_ps(y + i, mask,
                              _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(mask, weight + i)));
    }
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, float eps,
                       size_t n) {
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(n - i), x + i));
    __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)n);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 centred = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + i), mean);
        squares = _mm512_fmadd_ps(centred, centred, squares);
    }
    __m512 inverse = _mm512_set1_ps(1 / sqrtf(_mm512_reduce_add_ps(squares) / (float)n + eps));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 centred = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean);
        __m512 shift = bias ? _mm512_maskz_loadu_ps(mask, bias + i) : _mm512_setzero_ps();
        __m512 scaled = _mm512_mul_ps(centred, inverse);
        _mm512_mask_storeu_ps(
            y + i, mask, _mm512_fmadd_ps(scaled, _mm512_maskz_loadu_ps(mask, weight + i), shift));
    }
}

/* ---- FAVOR+ ---- */

/* favor_step on a stripe of S: all M rows of K registers (the last one masked), for G queries. The
 * sums over the rows stay in registers: K * G <= 16 of the 32. */
INLINE void favor_stripe(float *S, size_t M, size_t D, float decay, const float *phi_k,
                         const float *v, const float *phi_q, float *out, __mmask16 last,
                         const size_t K, const size_t G) {
    __m512 value[4], total[4][4], factor = _mm512_set1_ps(decay);
    for (size_t k = 0; k < K; k++) {
        __mmask16 mask = k + 1 < K ? 0xffff : last;
        value[k] = phi_k ? _mm512_maskz_loadu_ps(mask, v + 16 * k) : _mm512_setzero_ps();
        for (size_t g = 0; g < G; g++) total[g][k] = _mm512_setzero_ps();
    }
    for (size_t m = 0; m < M; m++, S += D) {
        __m512 row[4];
        for (size_t k = 0; k < K; k++)
            row[k] = _mm512_maskz_loadu_ps(k + 1 < K ? 0xffff : last, S + 16 * k);
        if (phi_k) {
            __m512 phi = _mm512_set1_ps(phi_k[m]);
            for (size_t k = 0; k < K; k++) {
                row[k] = _mm512_fmadd_ps(phi, value[k], _mm512_mul_ps(factor, row[k]));
                _mm512_mask_storeu_ps(S + 16 * k, k + 1 < K ? 0xffff : last, row[k]);
            }
        }
        for (size_t g = 0; g < G; g++) {
            __m512 phi = _mm512_set1_ps(phi_q[g * M + m]);
            for (size_t k = 0; k < K; k++) total[g][k] = _mm512_fmadd_ps(phi, row[k], total[g][k]);
        }
    }
    for (size_t g = 0; g < G; g++)
        for (size_t k = 0; k < K; k++)
            _mm512_mask_storeu_ps(out + g * D + 16 * k, k + 1 < K ? 0xffff : last, total[g][k]);
}

/* K and G are constants in each call, so that the compiler unrolls the loops of every shape. */
INLINE void favor_stripe_of(float *S, size_t M, size_t D, float decay, const float *phi_k,
                            const float *v, const float *phi_q, float *out, __mmask16 last,
                            const size_t K, size_t G) {
    switch (G) {
    case 0:
        favor_stripe(S, M, D, decay, phi_k, v, phi_q, out, last, K, 0);
        break;
    case 1:
        favor_stripe(S, M, D, decay, phi_k, v, phi_q, out, last, K, 1);
        break;
    case 2:
        favor_stripe(S, M, D, decay, phi_k, v, phi_q, out, last, K, 2);
        break;
    case 3:
        favor_stripe(S, M, D, decay, phi_k, v, phi_q, out, last, K, 3);
        break;
    default:
        favor_stripe(S, M, D, decay, phi_k, v, phi_q, out, last, K, 4);
        break;
    }
}

static void favor_columns(float *S, size_t M, size_t D, size_t width, float decay,
                          const float *phi_k, const float *v, const float *phi_q, float *out,
                          size_t G) {
    size_t K = (width + 15) / 16;
    __mmask16 last = lanes(width - 16 * (K - 1));
    switch (K) {
    case 1:
        favor_stripe_of(S, M, D, decay, phi_k, v, phi_q, out, last, 1, G);
        break;
    case 2:
        favor_stripe_of(S, M, D, decay, phi_k, v, phi_q, out, last, 2, G);
        break;
    case 3:
        favor_stripe_of(S, M, D, decay, phi_k, v, phi_q, out, last, 3, G);
        break;
    default:
        favor_stripe_of(S, M, D, decay, phi_k, v, phi_q, out, last, 4, G);
        break;
    }
}

/* Stripes of 64 columns, four queries at a time; S is updated with the first four. */
static void favor_step(float *S, float *z, size_t M, size_t D, float decay, const float *phi_k,
                       const float *v, const float *phi_q, size_t G, float *out, float *den) {
    for (size_t d = 0; d < D; d += 64) {
        size_t width = D - d < 64 ? D - d : 64;
        size_t g = 0;
        do {
            const float *update = g == 0 ? phi_k : NULL;
            favor_columns(S + d, M, D, width, decay, update, v ? v + d : NULL, phi_q + g * M,
                          out + g * D + d, G - g);
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
    for (size_t b = 0; b < n / 32; b++) {
        __m512 low = _mm512_loadu_ps(a.x + 32 * b), high = _mm512_loadu_ps(a.x + 32 * b + 16);
        /* max returns its second operand where the first is NaN: NaN is skipped, as in plain C */
        __m512 largest = _mm512_max_ps(_mm512_abs_ps(low), _mm512_setzero_ps());
        largest = _mm512_max_ps(_mm512_abs_ps(high), largest);
        float most = _mm512_reduce_max_ps(largest);
        __m512 inverse = _mm512_set1_ps(most > 0 ? 127 / most : 0);
        __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
        __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
        __m128i first8 = _mm512_cvtepi32_epi8(first), second8 = _mm512_cvtepi32_epi8(second);
        _mm_storeu_si128((__m128i *)(void *)(a.q + 32 * b), first8);
        _mm_storeu_si128((__m128i *)(void *)(a.q + 32 * b + 16), second8);
        __m512i sum = _mm512_add_epi32(_mm512_cvtepi8_epi32(first8), _mm512_cvtepi8_epi32(second8));
        a.scale[b] = most / 127;
        a.sum[b] = a.scale[b] * (float)_mm512_reduce_add_epi32(sum);
    }
}

/* ---- code for any width ---- */

enum { ROWS = 8 }; /* flash attention in register tiles of 8 keys by 32 queries */

#include "flash_attention_tile_x86.h"
#include "mlp_tile_x86.h"

static void flash_attention(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                            size_t D, ptrdiff_t first, ptrdiff_t last) {
    if (tile->n > LANES)
        flash_attention_columns(tile, K, V, n, D, first, last, 0, 2);
    else
        flash_attention_columns(tile, K, V, n, D, first, last, 0, 1);
}

/* ---- weights ---- */

static void matvec(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx2(W, a, y, begin, end))
        pf_matvec_floats_avx512(W, a.x, y, begin, end);
}

static void matvec_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx2_amd(W, a, y, begin, end))
        pf_matvec_floats_avx512_amd(W, a.x, y, begin, end);
}

static void matvec_vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx512vnni(W, a, y, begin, end))
        pf_matvec_floats_avx512(W, a.x, y, begin, end);
}

static void matvec_vnni_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    if (!a.q || !pf_matvec_int8_avx512vnni_amd(W, a, y, begin, end))
        pf_matvec_floats_avx512_amd(W, a.x, y, begin, end);
}

/* Without VNNI, floats are as fast as int8 activations and the better approximation. */
static void gemm(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y, size_t ldy,
                 size_t begin, size_t end, float *workspace) {
    (void)int8;
    pf_gemm_floats_avx512(W, X, ldx, T, Y, ldy, begin, end, workspace);
}

static void gemm_vnni(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y,
                      size_t ldy, size_t begin, size_t end, float *workspace) {
    if (int8 && pf_type_get(W.type)->block_size > 1)
        pf_gemm_int8_avx512vnni(W, X, ldx, T, Y, ldy, begin, end, workspace);
    else
        pf_gemm_floats_avx512(W, X, ldx, T, Y, ldy, begin, end, workspace);
}

/* ---- the tables ---- */

#define AVX512_KERNELS                                                                             \
    .dot = dot, .axpy = axpy, .scale = scale, .max = max, .exp_sum = exp_sum,                      \
    .rms_norm = rms_norm, .layer_norm = layer_norm, .swiglu = swiglu, .gelu_tanh = gelu_tanh,      \
    .gelu_erf = gelu_erf, .favor_step = favor_step, .to_f16 = pf_to_f16_avx512,                    \
    .flash_attention = flash_attention, .quantize_activation = quantize_activation,                \
    .dequantize_row = pf_dequantize_row_avx2
#define KEYS_INTEL .scores = pf_scores_avx512, .weighted_rows = pf_weighted_rows_avx512
#define KEYS_AMD .scores = pf_scores_avx512_amd, .weighted_rows = pf_weighted_rows_avx512_amd

const pf_kernels pf_kernels_avx512 = {
    .name = "avx512", .matvec = matvec, .gemm = gemm, KEYS_INTEL, AVX512_KERNELS};
const pf_kernels pf_kernels_avx512_amd = {
    .name = "avx512-amd", .matvec = matvec_amd, .gemm = gemm, KEYS_AMD, AVX512_KERNELS};
const pf_kernels pf_kernels_avx512vnni = {
    .name = "avx512-vnni", .matvec = matvec_vnni, .gemm = gemm_vnni, KEYS_INTEL, AVX512_KERNELS};
const pf_kernels pf_kernels_avx512vnni_amd = {.name = "avx512-vnni-amd",
                                              .matvec = matvec_vnni_amd,
                                              .gemm = gemm_vnni,
                                              KEYS_AMD,
                                              AVX512_KERNELS};

#else
typedef int pf_no_avx512; /* ISO C wants one declaration per file */
#endif
