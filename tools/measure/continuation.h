/* floor 5.4 - continuation: what a session would write next, greedily. */
#ifndef CONTINUATION_H
#define CONTINUATION_H

#include "session.h"
#include "tokenizer.h"

/* Reads the prompt from an empty text and appends the most probable tokens to *written, n at most; an end
 * token (if there is a tokenizer to tell) is the last. logits: scratch [V]. */
bool continue_greedily(pf_session *session, const pf_tokenizer *tokenizer, const int32_t *prompt,
                       size_t n_prompt, size_t n, float *logits, pf_tokens *written,
                       pf_error *error);

/* The first place where two continuations differ, or where one of them has ended; SIZE_MAX if none. */
size_t parting_place(const pf_tokens *a, const pf_tokens *b);

/* The text of ids [n] into *text (pf_free it), NUL behind; *split: bytes that the first n_before ids
 * make. NULL tokenizer: the ids as numbers. */
bool text_of(const pf_tokenizer *tokenizer, const int32_t *ids, size_t n, size_t n_before,
             char **text, size_t *split, pf_error *error);

#endif
