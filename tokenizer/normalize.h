/* floor 3.1 - normalise: the steps that change a text before it is cut into pieces. */
#ifndef PF_NORMALIZE_H
#define PF_NORMALIZE_H

#include "vocabulary.h"

/* Applies the steps in order to text [n bytes]. The caller frees *result [*size] with pf_free; it
 * is NULL if the result is empty. Bytes that are not valid UTF-8 stay as they are. */
bool pf_normalize(const pf_normal_step *steps, size_t n_steps, const char *text, size_t n,
                  char **result, size_t *size, pf_error *error);

#endif
