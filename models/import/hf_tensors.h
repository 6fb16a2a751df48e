/* floor 4.2 - Hugging Face tensors: their names -> GGUF's, and the order of their values.
 *
 * - llama, rows of q and k: RoPE rotates dimension i of a head together with i + D/2 in Hugging
 *   Face's
 *   files, but with its neighbour in GGUF. The rows, and the elements of biases, are reordered.
 * - gpt2, all matrices: stored as [in, out] (Conv1D), so they are transposed.
 * - Vectors become F32.
 *
 * This is done when a tensor is needed. All other tensors stay in the mapped file.
 */
#ifndef PF_HF_TENSORS_H
#define PF_HF_TENSORS_H

#include "hf_config.h"
#include "tensor_names.h"

/* Adds the tensors of names->from to names->to; the prefix is what wrappers put in front of
 * every name, or "". A tensor with no known use is an error, which pf_tensor_names_end reports. */
bool pf_hf_tensors(pf_tensor_names *names, const pf_hf_config *config, pf_error *error);

#endif
