/* floor 4.2 - foreign: checkpoints under their own project's tensor names -> GGUF's names and keys.
 *
 *   llama2.c .pt         tok_embeddings, layers.N.attention.wq, ... with 'model_args'    -> llama
 *   nanoGPT .pt          transformer.wte, transformer.h.N..., with 'model_args'          -> gpt2
 *   performer-pytorch    token_emb, performer.net.layers.N..., with --config             -> performer
 *   any other            with a --config that lists the tensors (docs/convert.md)        -> performer
 *
 * whatever stands before these names ("model.", "_orig_mod.", "module.", "net."). The file's format does
 * not matter: PyTorch and safetensors files are treated alike.
 */
#ifndef PF_FOREIGN_H
#define PF_FOREIGN_H

#include "checkpoint.h"

/* True if the checkpoint has tensors but has neither GGUF's keys nor its names. */
bool pf_is_foreign(const pf_checkpoint *checkpoint);

/* Takes a checkpoint (NULL: failed already) and gives one in GGUF's terms: itself, or if it is foreign
 * another, with which it is freed. config: a path, or NULL; an error where it is not needed. NULL with a
 * sentence that names the file, the checkpoint then being freed. */
pf_checkpoint *pf_foreign_adopt(pf_checkpoint *checkpoint, const char *config, pf_error *error);

#endif
