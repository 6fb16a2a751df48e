/* floor 3.1 - safetensors: the tensors of one file, or of a folder's shards.
 *
 *   u64 size of the header, the header (JSON), the data
 *   header: {"name": {"dtype": "F32", "shape": [rows, cols], "data_offsets": [begin, end]}, ...,
 *            "__metadata__": {...}}         offsets count from the end of the header
 *
 * F32, F16 and BF16 tensors stay in the mapped file. Integer and boolean tensors (masks and
 * position tables that some libraries store with the weights) are checked and left out; other types
 * are refused by name. Shapes are reversed, to GGUF's order; a scalar has the shape {1}. Refused,
 * each with its own message: a header that is too large, too deeply nested or malformed, a name
 * that is there twice, a size that overflows or does not match the shape, and tensors that overlap
 * or reach beyond the end of the file.
 */
#ifndef PF_SAFETENSORS_H
#define PF_SAFETENSORS_H

#include "checkpoint.h"

/* True if the first eight bytes are followed by the beginning of a JSON object. */
bool pf_safetensors_sniff(pf_slice bytes);

/* Adds the tensors of `bytes` to the checkpoint, which borrows from the bytes. */
bool pf_safetensors_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

/* Adds the tensors of folder/model.safetensors, or if there is no such file, those of the shards
 * that folder/model.safetensors.index.json names; shards must be in the folder itself. The
 * checkpoint takes ownership of the mapped files. Messages begin with the path of a file. */
bool pf_safetensors_read_folder(const char *folder, pf_checkpoint *checkpoint, pf_error *error);

#endif
