/* floor 1.1 - vectors: AVX-512 registers under the names that code for any width uses. Included by the kernel
 * files for AVX-512 only, before a tile file. The second operand of MIN and MAX stays where one is NaN; the
 * FIRST operations take the n first lanes at most. */
#ifndef PF_VECTOR_AVX512_H
#define PF_VECTOR_AVX512_H

#include "exp_avx512.h"
#include "lanes_avx512.h"

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
enum { LANES = 16 };

#endif
