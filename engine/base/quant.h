/* floor 1.1 - block formats: values <-> the blocks of ggml's tensor types, in plain C. */
#ifndef PF_QUANT_H
#define PF_QUANT_H

#include "tensor.h"

float pf_f16_to_f32(uint16_t half);   /* exact; subnormals, infinities and NaN included */
uint16_t pf_f32_to_f16(float value);  /* nearest even; overflow gives infinity */
float pf_bf16_to_f32(uint16_t brain); /* exact */
uint16_t pf_f32_to_bf16(float value); /* nearest even; NaN stays NaN */

/* values[0 .. n) from one row of any type; bit for bit what ggml gives. n: multiple of the block. */
void pf_dequantize_row(pf_type type, const void *row, float *values, size_t n);

/* The inverse, for F32, F16, BF16, Q8_0 and Q4_0 (false for other types, nothing written).
 * Rounding as ggml's reference quantisers: Q8_0 scale = max|x| / 127, Q4_0 scale = signed max / -8. */
bool pf_quantize_row(pf_type type, const float *values, void *row, size_t n);

#endif
