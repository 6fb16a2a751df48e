/* floor 3.1 - normalise: what tokenizer.json does to a text before anything else. */
#ifndef PF_NORMALIZE_H
#define PF_NORMALIZE_H

#include "vocabulary.h"

/* Applies the steps in order to text [n bytes]; *result [*size] is the caller's to free
 * (NULL if it is empty). Normal forms
 * touch only what is valid UTF-8; all other bytes stay. */
bool pf_normalize(const pf_normal_step *steps, size_t n_steps, const char *text, size_t n,
                  char **result, size_t *size, pf_error *error);

#endif
