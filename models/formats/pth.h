/* floor 3.4 - PyTorch checkpoints (.pt, .pth): files of torch.save, from PyTorch 1.6 on.
 *
 * A zip archive:
 *
 *   NAME/data.pkl      a pickle (pickle.h): dicts of tensors, numbers, strings
 *   NAME/data/KEY      the bytes of one storage, not compressed
 *
 * Names are the file's own, with a dot between levels: "model.layers.0.attention.wq.weight". The
 * name of a list item is its index.
 *
 * Tensors are read when they are needed, one at a time. Tensors that share a storage, or are views
 * with strides, become what PyTorch shows: contiguous tensors, with axes in GGUF's order (innermost
 * first; a scalar has the shape {1}). float32, float16 and bfloat16 keep their type; float64,
 * integers and bools become float32. Tensors without elements are left out.
 *
 * Numbers, bools and strings become metadata under their names ("model_args.dim"), of type I64,
 * F64, BOOL or STRING.
 *
 * Refused, each with its own message: compressed or encrypted records, storages shorter than their
 * tensors, views with more elements than their storage, files of PyTorch before 1.6, TorchScript
 * archives.
 */
#ifndef PF_PTH_H
#define PF_PTH_H

#include "checkpoint.h"

/* True for zip archives, and for files of PyTorch before 1.6, which pf_pth_read refuses by name. */
bool pf_pth_sniff(pf_slice bytes);

/* Like pf_gguf_read. */
bool pf_pth_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

/* True if both tensors are the same view of the same storage of a PyTorch file: tied weights. */
bool pf_pth_is_same(const pf_tensor *a, const pf_tensor *b);

#endif
