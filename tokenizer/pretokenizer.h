/* floor 3.1 - pre-tokenizer: cuts a text into words that byte-level BPE never merges across.
 *
 * The cuts that a model was trained with have a name (tokenizer.ggml.pre) and are patterns in
 * PCRE2's dialect, with Unicode classes. Several patterns apply one after the other, each to every
 * part that the earlier ones made. Each match becomes a part, and so does the text between two
 * matches.
 */
#ifndef PF_PRETOKENIZER_H
#define PF_PRETOKENIZER_H

#include "vocabulary.h"

typedef struct pf_pretokenizer pf_pretokenizer;

/* Compiles `patterns` if n_patterns > 0, otherwise those named `pre` ("" means "default"). On
 * failure returns NULL; the message lists the known names or says where a pattern is wrong. */
pf_pretokenizer *pf_pretokenizer_new(const char *pre, const pf_piece *patterns, size_t n_patterns,
                                     pf_error *error);
void pf_pretokenizer_free(pf_pretokenizer *pretokenizer); /* NULL is allowed */

/* Called for each word in order. If it returns false, the split stops and fails. */
typedef bool (*pf_word)(void *context, const char *word, size_t n, pf_error *error);

/* Cuts text [n bytes] into words that together are the whole text. Each run of bytes that is not
 * valid UTF-8 is a word. Thread-safe. */
bool pf_pretokenizer_split(const pf_pretokenizer *pretokenizer, const char *text, size_t n,
                           pf_word word, void *context, pf_error *error);

#endif
