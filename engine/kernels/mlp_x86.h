/* floor 1.3 - the MLP's nonlinearities for x86-64: what the kernel tables take from the mlp files. */
#ifndef PF_MLP_X86_H
#define PF_MLP_X86_H

#include <stddef.h>

/* pf_kernels.swiglu, .gelu_tanh and .gelu_erf, each for the instruction set in its name. */
void pf_swiglu_avx2(float *gate, const float *up, size_t n);
void pf_gelu_tanh_avx2(float *x, size_t n);
void pf_gelu_erf_avx2(float *x, size_t n);
void pf_swiglu_avx512(float *gate, const float *up, size_t n);
void pf_gelu_tanh_avx512(float *x, size_t n);
void pf_gelu_erf_avx512(float *x, size_t n);

#endif
