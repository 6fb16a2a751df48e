/* floor 1.0 - lanes: the first ones of AVX2 registers, loads and stores that end where the numbers end; their sum. Included by
 * the kernel files for AVX2 only. */
#ifndef PF_LANES_AVX2_H
#define PF_LANES_AVX2_H

#include <immintrin.h>
#include <stddef.h>

/* All bits set in the lowest min(n, 8) of eight lanes. */
static inline __attribute__((always_inline)) __m256i lanes(size_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), index);
}

/* x[0 .. min(n, 8)), zeros beyond; touches no memory there. */
static inline __attribute__((always_inline)) __m256 load_first(const float *x, size_t n) {
    return n >= 8 ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, lanes(n));
}

static inline __attribute__((always_inline)) void store_first(float *y, size_t n, __m256 value) {
    if (n >= 8)
        _mm256_storeu_ps(y, value);
    else
        _mm256_maskstore_ps(y, lanes(n), value);
}

/* The sum of all lanes. */
static inline __attribute__((always_inline)) float pf_sum8(__m256 x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#endif
