/* floor 2.1 - penalties: lowers the logits of tokens that the text already has. */
#ifndef PF_PENALTIES_H
#define PF_PENALTIES_H

#include "error.h"
#include "penalty_options.h"

#include <stdint.h>

typedef struct pf_penalties pf_penalties;

/* True if these options change any logit. */
bool pf_penalties_wanted(const pf_penalty_options *options);
/* Remembers as many tokens as the options look back to, at most PF_PENALTY_MOST. */
enum { PF_PENALTY_MOST = 1 << 24 };
pf_penalties *pf_penalties_new(const pf_penalty_options *options, size_t n_vocab, pf_error *error);
void pf_penalties_free(pf_penalties *penalties); /* NULL is allowed */

/* The text goes on with this token; ids outside the vocabulary are ignored. Allocates nothing. */
void pf_penalties_push(pf_penalties *penalties, int32_t id);
void pf_penalties_clear(pf_penalties *penalties); /* the text is empty again */
/* A copy of logits [V] with all penalties, owned by `penalties` and valid until the next call. */
const float *pf_penalties_apply(pf_penalties *penalties, const float *logits);

/* Writes the last tokens, oldest first, at most `most` of them, to ids, unless it is NULL; returns
 * their number. */
size_t pf_penalties_recent(const pf_penalties *penalties, int32_t *ids, size_t most);

#endif
