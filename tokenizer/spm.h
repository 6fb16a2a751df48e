/* floor 3.3 - SentencePiece BPE: characters, merged by score. */
#ifndef PF_SPM_H
#define PF_SPM_H

#include "tokenizer_private.h"

/* Appends the ids of a part of a text [n bytes] that holds no special tokens. `prefix`: it begins
 * the text or follows a special token, so add_space_prefix applies. */
bool pf_spm_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, bool prefix,
                   pf_tokens *tokens, pf_error *error);

/* For both kinds of SentencePiece: the text as its pieces see it, spaces trimmed, prefixed and escaped
 * as the vocabulary asks. *result is the caller's to free. */
bool pf_spm_prepare(const pf_vocabulary *vocabulary, const char *text, size_t n, bool prefix,
                    char **result, size_t *result_size, pf_error *error);

/* Appends <0xNN> for each byte of an unknown character, or one <unk> for a whole run of them:
 * *in_unknown remembers between calls that the run goes on. */
bool pf_spm_push_unknown(const pf_tokenizer *tokenizer, const char *bytes, size_t n,
                         bool *in_unknown, pf_tokens *tokens, pf_error *error);

#endif
