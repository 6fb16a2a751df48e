/* floor 2.2 - sampler: logits -> the next token, greedy or random, seeded and reproducible. */
#ifndef PF_SAMPLER_H
#define PF_SAMPLER_H

#include "error.h"
#include "penalty_options.h"
#include "rng.h"

#include <stddef.h>

typedef struct pf_sampler_options {
    float temperature; /* 0: greedy (the lowest id wins a tie) */
    size_t top_k;      /* keep the k most probable tokens; 0: all */
    float top_p;       /* then the fewest most probable tokens that together reach p; 1: all */
    float min_p;       /* then those at least min_p times as probable as the best; 0: all */
    uint64_t seed;
    pf_penalty_options penalties; /* come first */
} pf_sampler_options;

/* temperature 1, top_p 0.9 */
pf_sampler_options pf_sampler_options_default(void);

typedef struct pf_sampler pf_sampler;
pf_sampler *pf_sampler_new(const pf_sampler_options *options, size_t n_vocab, pf_error *error);
void pf_sampler_free(pf_sampler *sampler); /* NULL is allowed */

/* Samples a token from softmax(logits / temperature), after the penalties and the filters top-k,
 * top-p and min-p in this order. Does not change logits [n_vocab] and allocates nothing. Returns -1
 * if a logit is NaN or none is finite. */
int32_t pf_sampler_next(pf_sampler *sampler, const float *logits);

/* The text goes on with this token: call it for every token of the prompt and for every token
 * drawn. Only penalties need it. */
void pf_sampler_accept(pf_sampler *sampler, int32_t id);
/* The text is empty again. */
void pf_sampler_forget(pf_sampler *sampler);
/* Writes the last accepted tokens, oldest first, at most `most` of them, to ids, unless it is NULL;
 * returns their number, 0 without penalties. A saved text needs them to continue as it would have.
 */
size_t pf_sampler_recent(const pf_sampler *sampler, int32_t *ids, size_t most);

/* The state of the random numbers: save it, or overwrite it with a saved one to continue from
 * there. */
pf_rng *pf_sampler_rng(pf_sampler *sampler);

#endif
