/* floor 4.2 - Hugging Face tokenizer: a folder's tokenizer file, and what other files add.
 *
 *   tokenizer_config.json    bos_token, eos_token, unk_token, add_bos_token, add_eos_token,
 *                            added_tokens_decoder, chat_template; legacy, for a tokenizer.model
 *   generation_config.json   bos_token_id, eos_token_id (an id or a list); if this file is missing,
 *                            those of config.json
 *   chat_template.jinja      the template, before that of tokenizer_config.json
 *
 * All of these are optional.
 */
#ifndef PF_HF_TOKENIZER_H
#define PF_HF_TOKENIZER_H

#include "hf_config.h"

/* Sets the keys tokenizer.* of the checkpoint, which must already have token_embd.weight. Without a
 * tokenizer file in the folder, or if with_vocabulary is false, only the chat template is set.
 * qwen: cut text by Qwen's rules where the files give none.
 * Messages begin with the path of the folder or of a file in it. */
bool pf_hf_tokenizer(const char *folder, const json_t *config, bool qwen, bool with_vocabulary,
                     pf_checkpoint *checkpoint, pf_error *error);

#endif
