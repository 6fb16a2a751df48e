/* floor 3.6 - tokenizer keys: what a vocabulary has and GGUF has no keys for, under keys of ours.
 *
 *   performer.tokenizer.patterns       strings: pre-tokenizer patterns, instead of tokenizer.ggml.pre
 *   performer.tokenizer.normalizer     strings: steps by name, each followed by its arguments: nfc, nfd,
 *                                      nfkc, nfkd, lowercase, prepend TEXT, replace FROM TO, charsmap
 *                                      (the rules are in tokenizer.ggml.precompiled_charsmap; where only
 *                                      that key is there, it is the one step)
 *   performer.tokenizer.strip          u8 per piece: 1 strip_left, 2 strip_right
 *   performer.tokenizer.prefix_if_none, .prefix_at_start    bool: when a space goes before the first word
 *   performer.tokenizer.ignore_merges  bool; what tokenizer.ggml.pre implies if absent
 *
 * Each is written only where it says something that the others do not.
 */
#ifndef PF_TOKENIZER_KEYS_H
#define PF_TOKENIZER_KEYS_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Adds to a vocabulary whose pieces are there (in the storage): patterns, normal_steps, strip_left and
 * strip_right, and the flags whose keys are there. Bytes are borrowed from the checkpoint. */
bool pf_tokenizer_keys_read(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error);

/* `ignore_merges_implied`: what a reader takes for ignore_merges where the key is absent. */
bool pf_tokenizer_keys_write(const pf_vocabulary *vocabulary, bool ignore_merges_implied,
                             pf_checkpoint *checkpoint, pf_error *error);

#endif
