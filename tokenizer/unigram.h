/* floor 3.3 - SentencePiece Unigram: the most probable way to cut a text into pieces. */
#ifndef PF_UNIGRAM_H
#define PF_UNIGRAM_H

#include "tokenizer_private.h"

/* Indexes the pieces. */
bool pf_unigram_init(pf_tokenizer *tokenizer, pf_error *error);

/* Appends the ids of a text [n bytes], as in spm.h.
 *
 * Kudo 2018, eq. 4: the cut with the largest sum of log p(piece), found by Viterbi's recursion from
 * left to right. A character without a piece counts as one with the lowest score minus 10; it
 * becomes <unk> or its bytes. */
bool pf_unigram_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                       pf_error *error);

#endif
