/* floor 3.3 - special tokens: control and user-defined tokens that are written out in a text. */
#ifndef PF_SPECIAL_H
#define PF_SPECIAL_H

#include "tokenizer_private.h"

/* Indexes the special tokens of the vocabulary. */
bool pf_special_init(pf_tokenizer *tokenizer, pf_error *error);

typedef struct pf_special_match {
    int32_t id;        /* -1: none, begin and end are n */
    size_t begin, end; /* bytes of the text it takes, white space that it strips included */
} pf_special_match;

/* The first special token at or after `from`; of several at one place the longest. Control and
 * unknown tokens only if `control`, user-defined ones always. */
pf_special_match pf_special_find(const pf_tokenizer *tokenizer, const char *text, size_t n,
                                 size_t from, bool control);

#endif
