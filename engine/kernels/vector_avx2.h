/* floor 1.0 - vectors for AVX2: partly filled registers, sums, exp, and the names that code for
 * any width uses. Included by the kernel files for AVX2 only; a tile file (*_tile_x86.h) comes
 * after it. */
#ifndef PF_VECTOR_AVX2_H
#define PF_VECTOR_AVX2_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* All bits set in the lowest min(n, 8) lanes. */
INLINE __m256i lanes(size_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), index);
}

/* x[0 .. min(n, 8)), zeros in the other lanes; reads no memory beyond. */
INLINE __m256 load_first(const float *x, size_t n) {
    return n >= 8 ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, lanes(n));
}

INLINE void store_first(float *y, size_t n, __m256 value) {
    if (n >= 8)
        _mm256_storeu_ps(y, value);
    else
        _mm256_maskstore_ps(y, lanes(n), value);
}

/* The sum of all lanes. */
INLINE float pf_sum8(__m256 x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* exp(x) for x <= 88; method and error as in vector_avx512.h, with 2^n added to the exponent's
 * bits. */
INLINE __m256 pf_exp8(__m256 x) {
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    p = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
    p = _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(-87), _CMP_LT_OQ), p);
    return _mm256_blendv_ps(
        p, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)); /* restores NaN, which the sum changed */
}

/* The names for any width. MIN and MAX return their second operand where either is NaN; the FIRST
 * operations touch the first min(n, LANES) lanes. */
enum { LANES = 8 };
#define VECTOR __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define LOAD_FIRST(p, n) load_first(p, n)
#define STORE_FIRST(p, n, x) store_first(p, n, x)
#define SPREAD(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define NEGATED_FMA(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define DIV(a, b) _mm256_div_ps(a, b)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define EXP(x) pf_exp8(x)

#endif
