/* floor 1.3 - matrix-vector products for x86-64: what the kernel tables take from the matvec files. */
#ifndef PF_KERNELS_X86_H
#define PF_KERNELS_X86_H

#include "kernels.h"

/* pf_kernels.matvec, each for the instruction set in its name. */
void pf_matvec_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
void pf_matvec_avx512(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
void pf_matvec_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);

/* The int8 products alone (every block type; a.q set); false for other types. */
bool pf_matvec_int8_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
bool pf_matvec_int8_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);

/* pf_kernels.dequantize_row */
void pf_dequantize_row_avx2(pf_type type, const void *row, float *values, size_t n);

#endif
