/* floor 1.0 - exp in AVX-512 registers: what the kernels for them share.
 *
 * exp(x) for x <= 88: 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2, r in two steps because
 * n * (leading bits of ln 2) is exact. e^r by its Taylor series to degree 7, whose remainder,
 * r^8 / 8! < 6e-9, is a tenth of an ulp. Within 1 ulp; 0 below -87; NaN stays NaN. */
#ifndef PF_EXP_AVX512_H
#define PF_EXP_AVX512_H

#include <immintrin.h>

static inline __attribute__((always_inline)) __m512 pf_exp16(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(kept, p, n);
}

#endif
