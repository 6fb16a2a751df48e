/* floor 3.3 - SentencePiece Unigram: the most probable way to cut a text into pieces. */
#ifndef PF_UNIGRAM_H
#define PF_UNIGRAM_H

#include "tokenizer_private.h"

/* Indexes the pieces. */
bool pf_unigram_init(pf_tokenizer *tokenizer, pf_error *error);

/* Appends the ids of a part of a text [n bytes] that holds no special tokens; `prefix` as in spm.h.
 *
 * Kudo 2018, eq. 4: argmax over all cuts of the sum of log p(piece), by Viterbi's recursion from left
 * to right. A character that is no piece may be cut off at the lowest score minus 10, which becomes
 * <unk> or its bytes. */
bool pf_unigram_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, bool prefix,
                       pf_tokens *tokens, pf_error *error);

#endif
