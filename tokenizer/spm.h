/* floor 3.3 - SentencePiece BPE: characters, merged by score. */
#ifndef PF_SPM_H
#define PF_SPM_H

#include "tokenizer_private.h"

/* Appends the ids of a text [n bytes] without special tokens that pf_sentencepiece_prepare has
 * prepared. */
bool pf_spm_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                   pf_error *error);

#endif
