/* floor 1.0 - vectors for AVX-512: partly filled registers, exp, and the names that code for any
 * width uses. Included by the kernel files for AVX-512 only; a tile file (*_tile_x86.h) comes
 * after it.
 *
 * A masked load reads zeros where the mask is off and touches no memory there, so every loop ends
 * in one more step of the same kind instead of a slow scalar tail. */
#ifndef PF_VECTOR_AVX512_H
#define PF_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* The mask of the lowest min(n, 16) lanes. */
INLINE __mmask16 lanes(size_t n) { return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1); }

/* exp(x) for x <= 88, within 1 ulp; 0 below -87; NaN stays NaN.
 *
 * exp(x) = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2. ln 2 is subtracted in two parts,
 * because n * (leading bits of ln 2) is exact. e^r is its Taylor series to degree 7: the remainder,
 * r^8 / 8! < 6e-9, is a tenth of an ulp. */
INLINE __m512 pf_exp16(__m512 x) {
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

/* The names for any width. MIN and MAX return their second operand where either is NaN; the FIRST
 * operations touch the first min(n, LANES) lanes. */
enum { LANES = 16 };
#define VECTOR __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define LOAD_FIRST(p, n) _mm512_maskz_loadu_ps(lanes(n), p)
#define STORE_FIRST(p, n, x) _mm512_mask_storeu_ps(p, lanes(n), x)
#define SPREAD(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define NEGATED_FMA(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define DIV(a, b) _mm512_div_ps(a, b)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define EXP(x) pf_exp16(x)

#endif
