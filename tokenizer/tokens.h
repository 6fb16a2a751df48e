/* floor 3.0 - tokens: a growing array of ids. */
#ifndef PF_TOKENS_H
#define PF_TOKENS_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Zero it first. Free it with pf_tokens_free. */
typedef struct pf_tokens {
    int32_t *ids;
    size_t count, capacity;
    size_t lost; /* bytes of the text for which the vocabulary has no token, left out */
} pf_tokens;

bool pf_tokens_push(pf_tokens *tokens, int32_t id, pf_error *error);
void pf_tokens_free(pf_tokens *tokens); /* and zeroes it */

#endif
