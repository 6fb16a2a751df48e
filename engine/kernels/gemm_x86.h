/* floor 1.3 - matrix-matrix products for x86-64: what the kernel tables take from the gemm files. */
#ifndef PF_GEMM_X86_H
#define PF_GEMM_X86_H

#include "kernels.h"

/* pf_kernels.gemm, each for the instruction set in its name. */
void pf_gemm_avx512(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y,
                    size_t ldy, size_t begin, size_t end, float *workspace);
void pf_gemm_avx512vnni(pf_matrix W, const float *X, size_t ldx, size_t T, bool int8, float *Y,
                        size_t ldy, size_t begin, size_t end, float *workspace);

#endif
