/* floor 1.3 - attention of query tiles for x86-64: what the kernel tables take from the attend files. */
#ifndef PF_ATTEND_X86_H
#define PF_ATTEND_X86_H

#include "kernels.h"

/* pf_kernels.flash_attention, each for the instruction set in its name. */
void pf_flash_attention_avx2(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                             size_t D, ptrdiff_t first, ptrdiff_t last);
void pf_flash_attention_avx512(const pf_query_tile *tile, const float *K, const float *V, size_t n,
                               size_t D, ptrdiff_t first, ptrdiff_t last);

#endif
