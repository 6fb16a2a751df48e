/* floor 3.1 - vocabulary storage: the memory that a vocabulary points into. */
#ifndef PF_VOCABULARY_STORAGE_H
#define PF_VOCABULARY_STORAGE_H

#include "vocabulary.h"

/* A reader of tokenizer files allocates here what its pf_vocabulary points into. Zero it first.
 * Free it after pf_tokenizer_new, which copies the vocabulary, and also if the reader fails. */
typedef struct pf_vocabulary_storage {
    pf_piece *pieces, *merges, *patterns;
    pf_normal_step *steps;
    char *text; /* [text_size], the first text_used taken: bytes that pieces and steps point to */
    size_t text_used, text_size;
} pf_vocabulary_storage;

void pf_vocabulary_storage_free(pf_vocabulary_storage *storage); /* and zeroes it */

/* Makes room for `size` bytes of text, once, for pf_vocabulary_storage_text. */
bool pf_vocabulary_storage_reserve(pf_vocabulary_storage *storage, size_t size, pf_error *error);

/* Copies the bytes [n] into the reserved room and returns the copy. Readers reserve as many bytes
 * as their file has, and a text is never longer than in the file; if the room runs out, the file is
 * damaged: NULL. */
const char *pf_vocabulary_storage_text(pf_vocabulary_storage *storage, const char *bytes, size_t n,
                                       pf_error *error);

/* *copy = *source with everything it points to, in the empty *storage. */
bool pf_vocabulary_copy(const pf_vocabulary *source, pf_vocabulary *copy,
                        pf_vocabulary_storage *storage, pf_error *error);

#endif
