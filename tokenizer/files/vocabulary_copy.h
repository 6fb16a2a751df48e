/* floor 3.1 - vocabulary copy: a vocabulary with all that it points to. */
#ifndef PF_VOCABULARY_COPY_H
#define PF_VOCABULARY_COPY_H

#include "vocabulary.h"

typedef struct pf_vocabulary_copy {
    pf_piece *pieces, *merges, *patterns;
    pf_normal_step *steps;
    char *text;       /* the bytes of all of them */
    size_t text_size; /* never 0 */
} pf_vocabulary_copy;

/* *vocabulary = *source, pointing into *copy. On failure *copy is empty. */
bool pf_vocabulary_copy_new(pf_vocabulary_copy *copy, const pf_vocabulary *source,
                            pf_vocabulary *vocabulary, pf_error *error);
void pf_vocabulary_copy_free(pf_vocabulary_copy *copy);

#endif
