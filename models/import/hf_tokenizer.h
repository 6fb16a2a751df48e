/* floor 4.2 - Hugging Face's tokenizer of a folder: its file, and what the JSON files beside it add.
 *
 *   tokenizer_config.json    bos_token, eos_token, unk_token, add_bos_token, add_eos_token,
 *                            added_tokens_decoder, chat_template
 *   generation_config.json   eos_token_id and bos_token_id, one or several; config.json's if it has none
 *   chat_template.jinja      the template, where tokenizer_config.json has none
 *
 * All but the tokenizer file itself are optional.
 */
#ifndef PF_HF_TOKENIZER_H
#define PF_HF_TOKENIZER_H

#include "hf_config.h"

/* Writes the keys tokenizer.* into the checkpoint, whose token_embd.weight is there; nothing where the
 * folder has no tokenizer file. with_vocabulary: false writes the chat template alone. Messages begin with
 * a file. */
bool pf_hf_tokenizer(const char *folder, const json_t *config, pf_hf_family family,
                     bool with_vocabulary, pf_checkpoint *checkpoint, pf_error *error);

#endif
