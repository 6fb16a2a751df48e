/* floor 3.1 - safetensors: one file, or the shards of a folder, as tensors under their own names.
 *
 *   u64 size of the header, the header (JSON), the data
 *   header: {"name": {"dtype": "F32", "shape": [rows, cols], "data_offsets": [begin, end]}, ...,
 *            "__metadata__": {...}}         offsets count from the end of the header
 *
 * F32, F16 and BF16 stay where they are in the mapped file. Integer and boolean tensors (masks and
 * position tables that some libraries store beside the weights) are checked and left out; all other
 * types are refused by name. Shapes become GGUF's order (reversed); a scalar has the shape {1}.
 * Refused, each in one sentence: headers that are too large, too deep or wrong, names that are there
 * twice, sizes that overflow, do not fit the shape, leave the file, or overlap.
 */
#ifndef PF_SAFETENSORS_H
#define PF_SAFETENSORS_H

#include "checkpoint.h"

/* True if a JSON header follows the first eight bytes; nothing else is looked at. */
bool pf_safetensors_sniff(pf_slice bytes);

/* Adds the tensors of `bytes` to a checkpoint, which borrows from them. */
bool pf_safetensors_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

/* The same for folder/model.safetensors, or if that is missing for the files that
 * folder/model.safetensors.index.json names, which must be in the folder itself; the checkpoint keeps
 * them open. Messages begin with the file. */
bool pf_safetensors_read_folder(const char *folder, pf_checkpoint *checkpoint, pf_error *error);

#endif
