/* floor 4.2 - Hugging Face's tensors: their names -> GGUF's, and their order where it differs.
 *
 * - Rows of q and k of llama: within each head, dimension i turns together with i + D/2 in Hugging Face's
 *   files, with its neighbour in GGUF; rows move from the first order to the second (biases too).
 * - The matrices of gpt2 are stored as [in, out] (Conv1D); they are transposed.
 * - Vectors become F32.
 *
 * All of this is done when a tensor is needed; matrices that need none of it stay where they are.
 */
#ifndef PF_HF_TENSORS_H
#define PF_HF_TENSORS_H

#include "hf_config.h"
#include "tensor_names.h"

/* Adds to names->to what names->from has (prefix ""). A tensor that has no place is an error. */
bool pf_hf_tensors(pf_tensor_names *names, const pf_hf_config *config, pf_error *error);

#endif
