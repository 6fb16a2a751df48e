/* floor 4.0 - vocabulary keys: pf_vocabulary <-> tokenizer.ggml.* of a checkpoint.
 *
 *   pf_vocabulary vocabulary; pf_vocabulary_storage storage = {0};
 *   if (pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, error) &&
 *       vocabulary.n_pieces > 0)
 *       tokenizer = pf_tokenizer_new(&vocabulary, error);
 *   pf_vocabulary_storage_free(&storage);
 *
 * Defaults, if a key is missing (the kinds are the values of tokenizer.ggml.model):
 *
 *   bos, eos and unk          1, 2 and 0 for llama; the others have no such tokens
 *   eot                       a special piece called <|im_end|>, <|eot_id|>, ...
 *   add_bos                   true for llama, and for pre-tokenizers of the Llama 3 kind
 *   add_eos                   true for t5
 *   add_space_prefix          true for llama and t5: a space before the first word
 *   escape_whitespaces        true for llama and t5
 *   remove_extra_whitespaces  false: runs of spaces are kept
 *   token_type                normal, except <0xNN> (a byte, for llama), bos and eos (control), unk
 *
 * For what GGUF has no keys for, see tokenizer_keys.h.
 */
#ifndef PF_VOCABULARY_META_H
#define PF_VOCABULARY_META_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Fills in *vocabulary. If the file has no tokenizer, returns true with n_pieces 0. Strings are
 * borrowed from the checkpoint; *storage owns the arrays: zero it before, and free it also after a
 * failure. */
bool pf_vocabulary_from_checkpoint(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                                   pf_vocabulary_storage *storage, pf_error *error);

/* Sets the keys to copies of everything, and removes those of any other vocabulary.
 * Pads it, too. */
bool pf_vocabulary_to_checkpoint(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                                 pf_error *error);

/* Adds a piece "[PAD604]", unused, for each row of the embedding that has none, as long as these
 * are at most 4096: many models have more rows than tokens, and llama.cpp asks for a piece each. */
bool pf_vocabulary_pad(pf_checkpoint *checkpoint, pf_error *error);

#endif
