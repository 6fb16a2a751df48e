/* floor 3.1 - llama2.c checkpoints (.bin): versions 0 and 1, float32, as a llama checkpoint.
 *
 * Version 0:  i32 dim, hidden, layers, heads, kv_heads, vocab, context. Then the tensors, each kind
 * for
 *             all layers; two RoPE tables, which we ignore; and if vocab is negative, a classifier
 *             (otherwise the embedding is the classifier).
 * Version 1:  "24ka", i32 version, the same 7 numbers, u8 shared_classifier, zeros up to byte 256.
 * Then
 *             the tensors, norms first, without RoPE tables.
 * Version 2 (int8 groups) is refused by name.
 *
 * Rows of q and k are already in the order of adjacent RoPE pairs, so nothing is permuted, and
 * every tensor stays in the mapped file. Constants that llama2.c has in its code become keys: the
 * epsilon of the RMS norm, 1e-5, and the RoPE base, 10000.
 */
#ifndef PF_LLAMA2C_H
#define PF_LLAMA2C_H

#include "checkpoint.h"

/* True for the magic number of versions 1 and later. Version 0 has none: true for seven plausible
 * sizes. */
bool pf_llama2c_sniff(pf_slice bytes);

/* Like pf_gguf_read. The file must have exactly the size that its header implies. */
bool pf_llama2c_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

#endif
