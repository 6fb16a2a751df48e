/* floor 1.3 - keys and values for x86-64: what the kernel tables take from the keys files. */
#ifndef PF_KEYS_X86_H
#define PF_KEYS_X86_H

#include "kernels.h"

/* pf_kernels.scores, .weighted_rows and .to_f16, each for the instruction set in its name. */
void pf_scores_avx2(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
void pf_scores_avx512(const float *q, size_t G, pf_matrix K, float scale, float *scores, size_t ld);
void pf_weighted_rows_avx2(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
void pf_weighted_rows_avx512(const float *weights, size_t ld, size_t G, pf_matrix V, float *out);
void pf_to_f16_avx2(uint16_t *y, const float *x, size_t n);
void pf_to_f16_avx512(uint16_t *y, const float *x, size_t n);

#endif
