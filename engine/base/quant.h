/* floor 1.1 - block formats: values <-> the blocks of ggml's tensor types, in plain C. */
#ifndef PF_QUANT_H
#define PF_QUANT_H

#include "tensor.h"

float pf_f16_to_f32(uint16_t half);   /* exact; subnormals, infinities and NaN included */
uint16_t pf_f32_to_f16(float value);  /* nearest even; overflow gives infinity */
float pf_bf16_to_f32(uint16_t bits);  /* exact */
uint16_t pf_f32_to_bf16(float value); /* nearest even; NaN stays NaN */

/* values[0 .. n) of one row of any type, bit for bit as ggml's. n: a multiple of the block size. */
void pf_dequantize_row(pf_type type, const void *row, float *values, size_t n);

/* The inverse, for F32, F16, BF16, Q8_0 and Q4_0; for any other type false, and nothing is
 * written. Rounds as ggml's reference quantisers do. The scale of Q8_0 is max|x| / 127; that of
 * Q4_0 is the value of largest magnitude, with its sign, / -8. */
bool pf_quantize_row(pf_type type, const float *values, void *row, size_t n);

#endif
