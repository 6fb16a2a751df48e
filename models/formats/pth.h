/* floor 3.4 - PyTorch checkpoints (.pt, .pth) of torch.save since 1.6: a zip archive of a pickle and its storages.
 *
 *   NAME/data.pkl      the pickle (pickle.h): dicts of tensors, numbers, texts
 *   NAME/data/KEY      the bytes of one storage, stored without compression
 *
 * The checkpoint gets the file's own names, with a dot from level to level: "model.layers.0.attention.wq.weight".
 * Tensors are read when they are needed, one at a time. Those that share a storage, or are views with
 * strides, come out as the tensors that PyTorch shows: contiguous, in the order of GGUF (the innermost
 * axis first; a scalar has shape {1}). float32, float16 and bfloat16 keep their type; float64, integers
 * and bools become float32. Tensors without elements are left out.
 * Numbers, bools and texts become metadata under their own path ("model_args.dim": I64, F64, BOOL, STRING);
 * items of lists have their index for a name.
 *
 * Refused, each in one sentence: compressed or encrypted records, storages shorter than their tensors,
 * views with more elements than their storage, files before 1.6, TorchScript archives.
 */
#ifndef PF_PTH_H
#define PF_PTH_H

#include "checkpoint.h"

/* True for zip archives, and for files of torch.save before 1.6 (to be refused by name). */
bool pf_pth_sniff(pf_slice bytes);

/* As pf_gguf_read. */
bool pf_pth_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

/* True if both tensors are the same view of one PyTorch file's storage: weights that are tied. */
bool pf_pth_is_same(const pf_tensor *a, const pf_tensor *b);

#endif
