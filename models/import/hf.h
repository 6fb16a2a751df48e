/* floor 4.3 - Hugging Face folders: config.json, safetensors, tokenizer files -> a checkpoint.
 *
 *   config.json                                         hf_config.h
 *   model.safetensors, or shards with an index          safetensors.h, hf_tensors.h
 *   tokenizer.json, tokenizer.model or vocab.json ...   hf_tokenizer.h; optional
 *
 * Families: the table in hf_config.c. The resulting checkpoint has GGUF's names, keys and order of
 * rows, and has been checked in full: it can be run or written. No tensor is copied before it is
 * needed.
 */
#ifndef PF_HF_H
#define PF_HF_H

#include "checkpoint.h"

/* On failure returns NULL, with a message that begins with the path of the folder or of a file in
 * it. with_tokenizer: false leaves the folder's tokenizer out, so that you can add another. */
pf_checkpoint *pf_hf_open(const char *folder, bool with_tokenizer, pf_error *error);

/* Opens any checkpoint: a folder by pf_hf_open, a file by pf_checkpoint_open (formats.h). */
pf_checkpoint *pf_hf_or_file_open(const char *path, bool with_tokenizer, pf_error *error);

#endif
