/* floor 2.0 - penalty options: what lowers the logits of tokens that the text already has. */
#ifndef PF_PENALTY_OPTIONS_H
#define PF_PENALTY_OPTIONS_H

#include <stddef.h>

/* As llama.cpp defines them. All zeros: no penalty.
 *
 * Of the last `last_n` tokens, let c be how many are token i. If c > 0,
 *     logit <- logit / repeat if logit > 0, else logit * repeat
 *     logit <- logit - c * frequency - presence
 *
 * DRY ("don't repeat yourself", p-e-w 2024) acts on repeated runs instead. If token i would extend
 * a run of L tokens that ends the text and stands in the last `dry_last_n` tokens before, and
 * L >= dry_allowed_length,
 *     logit <- logit - dry_multiplier * dry_base^(L - dry_allowed_length)
 * No run goes back over a token that is marked in dry_breaks. */
typedef struct pf_penalty_options {
    float repeat;              /* 0 or 1: none */
    float presence, frequency; /* 0: none; below 0 they favour repetition */
    size_t last_n;             /* 0: none of these three */
    float dry_multiplier;      /* 0: none */
    float dry_base;            /* at least 1 */
    size_t dry_allowed_length; /* at least 1 */
    size_t dry_last_n;
    const unsigned char *dry_breaks; /* [V], borrowed; or NULL */
} pf_penalty_options;

#endif
