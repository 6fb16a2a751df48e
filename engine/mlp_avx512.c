/* floor 1.4 - MLP for AVX-512: its nonlinearities, sixteen floats at a time. */
#if defined(__x86_64__)

#include "exp_avx512.h"
#include "lanes_avx512.h"
#include "mlp_x86.h"

#define VECTOR __m512
#define LOAD(p, n) _mm512_maskz_loadu_ps(lanes(n), p)
#define STORE(p, n, x) _mm512_mask_storeu_ps(p, lanes(n), x)
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

#include "mlp_tile_x86.h"

void pf_swiglu_avx512(float *gate, const float *up, size_t n) { swiglu(gate, up, n); }
void pf_gelu_tanh_avx512(float *x, size_t n) { gelu_tanh(x, n); }
void pf_gelu_erf_avx512(float *x, size_t n) { gelu_erf(x, n); }

#else
typedef int pf_no_mlp_avx512; /* ISO C wants one declaration per file */
#endif
