/* floor 4.0 - vocabulary keys: pf_vocabulary <-> tokenizer.ggml.* of a checkpoint.
 *
 *   pf_vocabulary vocabulary; pf_vocabulary_storage storage = {0};
 *   if (pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, error) && vocabulary.n_pieces)
 *       tokenizer = pf_tokenizer_new(&vocabulary, error);
 *   pf_vocabulary_storage_free(&storage);
 *
 * What a file does not say: bos 1, eos 2, unk 0 for "llama", none elsewhere; BOS is added for "llama" and
 * for pre-tokenizers of the Llama-3 kind; a space goes before the first word for "llama" and "t5";
 * spaces are not collapsed; a missing token_type makes every piece normal but for <0xNN> and the ids
 * above; a missing eot_token_id is looked for among the pieces (<|im_end|>, <|eot_id|>, ...). What GGUF
 * has no keys for: tokenizer_keys.h.
 */
#ifndef PF_VOCABULARY_META_H
#define PF_VOCABULARY_META_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* True with n_pieces == 0 where the file has no tokenizer. Bytes are borrowed from the checkpoint,
 * arrays go to *storage (zeroed by the caller, freed by it also on failure). */
bool pf_vocabulary_from_checkpoint(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                                   pf_vocabulary_storage *storage, pf_error *error);

/* Writes the keys (copies of everything) in place of those of another vocabulary. */
bool pf_vocabulary_to_checkpoint(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                                 pf_error *error);

#endif
