/* floor 3.1 - SentencePiece: what its BPE and Unigram models have in common. */
#ifndef PF_SENTENCEPIECE_H
#define PF_SENTENCEPIECE_H

#include "tokens.h"
#include "vocabulary.h"

/* Trims, prefixes and escapes the spaces of a text as the vocabulary asks. `prefix`: the text
 * starts here or after a special token, so add_space_prefix applies. The caller frees *result
 * [*result_size] with pf_free. */
bool pf_sentencepiece_prepare(const pf_vocabulary *vocabulary, const char *text, size_t n,
                              bool prefix, char **result, size_t *result_size, pf_error *error);

/* Appends ids for a character [n bytes] without a piece: those of its bytes as <0xNN> (byte_ids, -1
 * where there is none), or else one <unk> for a whole run of such characters. *in_unknown says
 * whether the character before was part of such a run. */
bool pf_sentencepiece_unknown(const pf_vocabulary *vocabulary, const int32_t byte_ids[256],
                              const char *bytes, size_t n, bool *in_unknown, pf_tokens *tokens,
                              pf_error *error);

#endif
