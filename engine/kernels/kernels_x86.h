/* floor 1.2 - kernels for x86-64: what the tables take from other files. A function's name ends in
 * the instruction set that it needs. */
#ifndef PF_KERNELS_X86_H
#define PF_KERNELS_X86_H

#include "kernels.h"

/* pf_kernels.dequantize_row */
void pf_dequantize_row_avx2(pf_type type, const void *row, float *values, size_t n);

/* pf_kernels.matvec. Names that end in _amd give the hints that are good on AMD's processors
 * (prefetch_x86.h), the others those for Intel's. */
void pf_matvec_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
void pf_matvec_avx2_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
/* Its two halves: with the floats x, for every type; with int8 activations, for every block type
 * (a.q set; false for other types). */
void pf_matvec_floats_avx512(pf_matrix W, const float *x, float *y, size_t begin, size_t end);
void pf_matvec_floats_avx512_amd(pf_matrix W, const float *x, float *y, size_t begin, size_t end);
bool pf_matvec_int8_avx2(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
bool pf_matvec_int8_avx2_amd(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
bool pf_matvec_int8_avx512vnni(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end);
bool pf_matvec_int8_avx512vnni_amd(pf_matrix W, pf_activation a, float *y, size_t begin,
                                   size_t end);

/* pf_kernels.gemm: with floats, for every type; with int8 activations, for block types only. */
void pf_gemm_floats_avx512(pf_matrix W, const float *X, size_t ldx, size_t T, float *Y, size_t ldy,
                           size_t begin, size_t end, float *workspace);
void pf_gemm_int8_avx512vnni(pf_matrix W, const float *X, size_t ldx, size_t T, float *Y,
                             size_t ldy, size_t begin, size_t end, float *workspace);

/* pf_kernels.scores, .weighted_rows and .to_f16 */
void pf_scores_avx2(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
void pf_scores_avx2_amd(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                        size_t ld);
void pf_scores_avx512(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
void pf_scores_avx512_amd(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                          size_t ld);
void pf_weighted_rows_avx2(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
void pf_weighted_rows_avx2_amd(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
void pf_weighted_rows_avx512(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
void pf_weighted_rows_avx512_amd(const float *weights, size_t ld, size_t G, pf_matrix V,
                                 float *out);
void pf_to_f16_avx2(uint16_t *y, const float *x, size_t n);
void pf_to_f16_avx512(uint16_t *y, const float *x, size_t n);

#endif
