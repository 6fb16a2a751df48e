/* floor 3.6 - tokenizer keys: our own keys, for what a vocabulary has but GGUF has no keys for.
 *
 *   performer.tokenizer.patterns          strings: pre-tokenizer patterns, in place of
 *                                         tokenizer.ggml.pre
 *   performer.tokenizer.normalizer        strings: the names of steps, each followed by its
 *                                         arguments: nfc, nfd, nfkc, nfkd, lowercase, prepend TEXT,
 *                                         replace FROM TO, charsmap
 *   performer.tokenizer.ends              u32: ids that end a text beside EOS and EOT
 *   performer.tokenizer.strip             u8 per piece: the sum of 1 strip_left, 2 strip_right,
 *                                         4 normalized, 8 in_words (vocabulary.h)
 *   performer.tokenizer.prefix_if_none    bool, see vocabulary.h
 *   performer.tokenizer.prefix_at_start   bool, see vocabulary.h
 *   performer.tokenizer.ignore_merges     bool; if absent, tokenizer.ggml.pre implies it
 *
 * The rules of charsmap are in tokenizer.ggml.precompiled_charsmap. If a file has that key but no
 * normalizer, charsmap is the only step; if its tokenizer.ggml.pre is qwen2, the step is nfc, since
 * Qwen's own tokenizers begin with it (llama.cpp does not). A file of the family phi3 without a
 * strip key has markers such as <|user|> that take the white space behind them, as Phi-3's own
 * tokenizer says. A key is written only if it differs from what its absence
 * means.
 */
#ifndef PF_TOKENIZER_KEYS_H
#define PF_TOKENIZER_KEYS_H

#include "checkpoint.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* Sets a vocabulary's patterns and normal_steps, strip_left and strip_right of its pieces, and the
 * flags for which there are keys. The pieces must already be in *storage. Strings are borrowed from
 * the checkpoint. */
bool pf_tokenizer_keys_read(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error);

/* ignore_merges_implied: the value that a reader assumes if there is no ignore_merges key. */
bool pf_tokenizer_keys_write(const pf_vocabulary *vocabulary, bool ignore_merges_implied,
                             pf_checkpoint *checkpoint, pf_error *error);

#endif
