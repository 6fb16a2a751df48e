/* floor 1.4 - MLP for AVX2 + FMA: its nonlinearities, eight floats at a time. */
#if defined(__x86_64__)

#include "mlp_x86.h"
#include "vector_avx2.h"

#include "mlp_tile_x86.h"

void pf_swiglu_avx2(float *gate, const float *up, size_t n) { swiglu(gate, up, n); }
void pf_gelu_tanh_avx2(float *x, size_t n) { gelu_tanh(x, n); }
void pf_gelu_erf_avx2(float *x, size_t n) { gelu_erf(x, n); }

#else
typedef int pf_no_mlp_avx2; /* ISO C wants one declaration per file */
#endif
