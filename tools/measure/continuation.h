/* floor 5.4 - continuation: what a session would write next, greedily. */
#ifndef CONTINUATION_H
#define CONTINUATION_H

#include "session.h"
#include "tokenizer.h"

/* Resets the session, reads the prompt and appends the most probable tokens to *written, at most n.
 * Stops after an end token, if there is a tokenizer to recognise it. logits: scratch [V]. */
bool continue_greedily(pf_session *session, const pf_tokenizer *tokenizer, const int32_t *prompt,
                       size_t n_prompt, size_t n, float *logits, pf_tokens *written,
                       pf_error *error);

/* The first index at which two continuations differ or one has ended; SIZE_MAX if equal. */
size_t first_difference(const pf_tokens *a, const pf_tokens *b);

/* Sets *text to the NUL-terminated text of ids [n] (release it with pf_free), and *split to the
 * number of bytes that come from the first n_before ids. Without a tokenizer, the text is the ids
 * as numbers. */
bool text_of(const pf_tokenizer *tokenizer, const int32_t *ids, size_t n, size_t n_before,
             char **text, size_t *split, pf_error *error);

#endif
