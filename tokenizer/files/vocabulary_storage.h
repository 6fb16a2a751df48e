/* floor 3.1 - vocabulary storage: the memory behind a vocabulary that a reader filled in. */
#ifndef PF_VOCABULARY_STORAGE_H
#define PF_VOCABULARY_STORAGE_H

#include "vocabulary.h"

/* Readers allocate here what their pf_vocabulary points into. Zero it before, free it after
 * pf_tokenizer_new has copied the vocabulary; on a reader's failure too. */
typedef struct pf_vocabulary_storage {
    pf_piece *pieces, *merges, *patterns;
    pf_normal_step *steps;
    char *text; /* bytes of pieces that are not as the file writes them */
    size_t text_used, text_size;
} pf_vocabulary_storage;

void pf_vocabulary_storage_free(pf_vocabulary_storage *storage); /* and zeroes it */

/* Room for `size` bytes of text, for pf_vocabulary_storage_text. */
bool pf_vocabulary_storage_reserve(pf_vocabulary_storage *storage, size_t size, pf_error *error);

/* A copy of the bytes in the reserved room. Readers reserve as much as their file is long, and texts
 * never grow by being read, so that running out of it is an error of the file: NULL. */
const char *pf_vocabulary_storage_text(pf_vocabulary_storage *storage, const char *bytes, size_t n,
                                       pf_error *error);

#endif
