/* floor 4.3 - import: a checkpoint with another project's tensor names -> GGUF's names and keys.
 *
 *   llama2.c .pt        tok_embeddings, layers.N.attention.wq, ... and 'model_args'  -> llama
 *   nanoGPT .pt         transformer.wte, transformer.h.N..., and 'model_args'        -> gpt2
 *   performer-pytorch   token_emb, performer.net.layers.N..., with --config          -> performer
 *   anything else       with a --config that lists the tensors (docs/convert.md)     -> performer
 *
 * These names may have any prefix ("model.", "_orig_mod.", "module.", "net."). The file's format
 * does not matter: a project's tensors are recognised in a PyTorch file and in a safetensors file
 * alike.
 */
#ifndef PF_IMPORT_H
#define PF_IMPORT_H

#include "checkpoint.h"

/* True if the checkpoint has tensors, but neither GGUF's keys nor GGUF's tensor names. */
bool pf_import_is_needed(const pf_checkpoint *checkpoint);

/* Returns the checkpoint in GGUF's terms: `checkpoint` itself, or if it needs importing a new one
 * that owns it. Takes ownership of `checkpoint` in every case; NULL means that an earlier step
 * failed, and returns NULL. config: path of a --config file, or NULL. Giving one to a checkpoint
 * that needs no import is an error. On failure returns NULL with a message that names the file, and
 * frees `checkpoint`. */
pf_checkpoint *pf_import_checkpoint(pf_checkpoint *checkpoint, const char *config, pf_error *error);

#endif
