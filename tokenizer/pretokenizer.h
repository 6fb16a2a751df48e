/* floor 3.1 - pre-tokenizer: cuts a text into words that byte-level BPE never merges across.
 *
 * Which cuts a model was trained with is named by tokenizer.ggml.pre and written in the dialect of
 * PCRE2 with Unicode classes. Where several patterns are given, each cuts the parts that the ones
 * before it left: what a pattern matches is a part of its own, and so is what lies between matches.
 */
#ifndef PF_PRETOKENIZER_H
#define PF_PRETOKENIZER_H

#include "vocabulary.h"

typedef struct pf_pretokenizer pf_pretokenizer;

/* The patterns of `pre` ("" = "default"), or if n_patterns > 0 those instead. NULL with a message
 * that lists the known names, or says where a pattern is wrong. */
pf_pretokenizer *pf_pretokenizer_new(const char *pre, const pf_piece *patterns, size_t n_patterns,
                                     pf_error *error);
void pf_pretokenizer_free(pf_pretokenizer *pretokenizer); /* NULL is allowed */

/* Called with each word in order; false ends the split, which then fails too. */
typedef bool (*pf_word)(void *context, const char *word, size_t n, pf_error *error);

/* Cuts text [n bytes]: together the words are the text. Bytes that are no UTF-8 are words of their
 * own. Thread-safe. */
bool pf_pretokenizer_split(const pf_pretokenizer *pretokenizer, const char *text, size_t n,
                           pf_word word, void *context, pf_error *error);

#endif
