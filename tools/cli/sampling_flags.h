/* floor 5.3 - sampling flags: what the command line says about choosing the next token. */
#ifndef SAMPLING_FLAGS_H
#define SAMPLING_FLAGS_H

#include "options.h"
#include "sampler.h"
#include "tokenizer.h"

/* A sampler as the options describe it. `context` stands for -1, the whole context. The sampler
 * borrows *breaks [n_vocab], which is made the first time that it is needed; NULL before. Free it
 * with pf_free, after the sampler. With `breaks` NULL, nothing ends a run. */
pf_sampler *sampler_from(const options *parsed, const pf_tokenizer *tokenizer, size_t n_vocab,
                         size_t context, uint64_t seed, unsigned char **breaks, pf_error *error);

/* --tokens: how many to generate, SIZE_MAX for -1. */
size_t tokens_wanted(const options *parsed);

#endif
