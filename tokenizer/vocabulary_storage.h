/* floor 3.1 - vocabulary storage: the memory behind a vocabulary that a reader filled in. */
#ifndef PF_VOCABULARY_STORAGE_H
#define PF_VOCABULARY_STORAGE_H

#include "vocabulary.h"

/* Readers allocate here what their pf_vocabulary points into. Zero it before, free it after
 * pf_tokenizer_new has copied the vocabulary; on a reader's failure too. */
typedef struct pf_vocabulary_storage {
    pf_piece *pieces, *merges;
    char *text; /* bytes of pieces that are not as the file writes them */
} pf_vocabulary_storage;

void pf_vocabulary_storage_free(pf_vocabulary_storage *storage); /* and zeroes it */

#endif
