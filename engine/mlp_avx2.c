/* floor 1.4 - MLP for AVX2 + FMA: its nonlinearities, eight floats at a time. */
#if defined(__x86_64__)

#include "exp_avx2.h"
#include "lanes_avx2.h"
#include "mlp_x86.h"

#define VECTOR __m256
#define LOAD(p, n) load_first(p, n)
#define STORE(p, n, x) store_first(p, n, x)
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

#include "mlp_tile_x86.h"

void pf_swiglu_avx2(float *gate, const float *up, size_t n) { swiglu(gate, up, n); }
void pf_gelu_tanh_avx2(float *x, size_t n) { gelu_tanh(x, n); }
void pf_gelu_erf_avx2(float *x, size_t n) { gelu_erf(x, n); }

#else
typedef int pf_no_mlp_avx2; /* ISO C wants one declaration per file */
#endif
