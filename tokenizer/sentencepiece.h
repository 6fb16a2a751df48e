/* floor 3.1 - SentencePiece: what its two kinds, BPE and Unigram, have in common. */
#ifndef PF_SENTENCEPIECE_H
#define PF_SENTENCEPIECE_H

#include "tokens.h"
#include "vocabulary.h"

/* The text as the pieces see it: spaces trimmed, prefixed and escaped as the vocabulary asks.
 * `prefix`: the text begins here, or a special token is before it, so add_space_prefix applies.
 * *result [*result_size] is the caller's to free. */
bool pf_sentencepiece_prepare(const pf_vocabulary *vocabulary, const char *text, size_t n,
                              bool prefix, char **result, size_t *result_size, pf_error *error);

/* For a character [n bytes] that is no piece: its bytes as <0xNN> (byte_ids, -1: none), or one <unk>
 * for a whole run of such characters: *in_unknown remembers between calls that the run goes on. */
bool pf_sentencepiece_unknown(const pf_vocabulary *vocabulary, const int32_t byte_ids[256],
                              const char *bytes, size_t n, bool *in_unknown, pf_tokens *tokens,
                              pf_error *error);

#endif
