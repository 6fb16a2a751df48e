/* floor 3.1 - llama2.c checkpoints (.bin): versions 0 and 1, float32, as a llama checkpoint.
 *
 * Version 0:  i32 dim, hidden, layers, heads, kv_heads, vocab (negative: own classifier), context, then
 *             all tensors of a kind for all layers, two RoPE tables (not needed), the classifier.
 * Version 1:  "24ka", i32 version, the same 7 numbers, u8 shared classifier, zeros up to byte 256, then
 *             the norms first and no tables.
 * Version 2 (int8 groups) is refused by name.
 *
 * Rows of q and k are already in the order of adjacent RoPE pairs, so nothing is permuted, and every
 * tensor stays where it is in the mapped file. Constants that run.c has in its code become keys:
 * RMS epsilon 1e-5, RoPE base 10000.
 */
#ifndef PF_LLAMA2C_H
#define PF_LLAMA2C_H

#include "checkpoint.h"

/* True for the magic of versions 1 and later, and for seven plausible numbers (version 0 has none). */
bool pf_llama2c_sniff(pf_slice bytes);

/* As pf_gguf_read. The size must be exactly what the header says. */
bool pf_llama2c_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

#endif
