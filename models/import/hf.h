/* floor 4.3 - Hugging Face folders: config.json, safetensors and tokenizer files -> one checkpoint.
 *
 *   config.json                                         hf_config.h
 *   model.safetensors, or shards with an index          safetensors.h, hf_tensors.h
 *   tokenizer.json, tokenizer.model or vocab.json ...   hf_tokenizer.h; optional
 *
 * Families: llama, qwen2, qwen3, gpt2. The result has GGUF's names, keys and order of rows, and can be
 * written or run; nothing is copied before it is needed. It is checked in full before it is handed out.
 */
#ifndef PF_HF_H
#define PF_HF_H

#include "checkpoint.h"

/* NULL with one sentence that begins with the folder or a file in it. with_tokenizer: false if the
 * caller has another. */
pf_checkpoint *pf_hf_open(const char *folder, bool with_tokenizer, pf_error *error);

/* Any checkpoint: pf_hf_open for a folder, pf_checkpoint_open (formats.h) for a file. */
pf_checkpoint *pf_hf_or_file_open(const char *path, bool with_tokenizer, pf_error *error);

#endif
