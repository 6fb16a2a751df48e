/* floor 1.1 - vectors: AVX2 registers under the names that code for any width uses. Included by the kernel
 * files for AVX2 only, before a tile file. The second operand of MIN and MAX stays where one is NaN; the
 * FIRST operations take the n first lanes at most. */
#ifndef PF_VECTOR_AVX2_H
#define PF_VECTOR_AVX2_H

#include "exp_avx2.h"
#include "lanes_avx2.h"

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
enum { LANES = 8 };

#endif
