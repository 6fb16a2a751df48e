/* floor 3.3 - special tokens: finds control and user-defined tokens in a text. */
#ifndef PF_SPECIAL_H
#define PF_SPECIAL_H

#include "tokenizer_private.h"

/* Indexes the special tokens of the vocabulary. */
bool pf_special_init(pf_tokenizer *tokenizer, pf_error *error);

typedef struct pf_special_match {
    int32_t id;        /* -1: no match, begin and end are n */
    size_t begin, end; /* its bytes in the text, including white space that it strips */
} pf_special_match;

/* The first special token at or after `from`, the longest if several start there. Finds control and
 * unknown tokens only if `control` is set, user-defined ones always. */
pf_special_match pf_special_find(const pf_tokenizer *tokenizer, const char *text, size_t n,
                                 size_t from, bool control);

/* The same among tokens that are `normalized`, in normalised text; and if
 * pf_special_prepared_first, in text that pf_sentencepiece_prepare has prepared: there, a
 * normaliser writes U+2581 for spaces and puts one in front. (With Metaspace that happens later, in
 * each word of its own.) */
pf_special_match pf_special_find_normalized(const pf_tokenizer *tokenizer, const char *text,
                                            size_t n, size_t from, bool control);
bool pf_special_prepared_first(const pf_vocabulary *vocabulary);

#endif
