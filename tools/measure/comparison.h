/* floor 5.5 - comparison: one model, a reference and any number of settings, over the same texts.
 *
 * Sessions side by side: every one reads every text, a chunk at a time. At each predicted token the
 * distribution p of the reference meets q of the setting, and taps compare the layers. Then each
 * session continues the first text greedily. All numbers come from these sessions.
 */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "input.h"
#include "layer_error.h"

/* What one setting did; the reference has a row of its own, with divergence 0. */
typedef struct compared {
    char name[128]; /* as it was given */
    pf_session_options options;
    size_t predicted;
    double nll;          /* sum of -log q[next], nats */
    double kl;           /* sum of KL(p || q), nats */
    double *kls;         /* [predicted] of each position, texts one after the other */
    double *kls_sorted;  /* [predicted] */
    size_t top1, top5;   /* positions whose best token agrees; of the five best, the common ones */
    layer_error *layers; /* [L]; zero for the reference */
    size_t state_bytes;
    double prefill_seconds; /* reading all texts, all logits included */
    size_t prefill_tokens;
    double decode_seconds;  /* median of single tokens behind the last text */
    pf_session_stats stats; /* of reading the texts */
    pf_tokens written;      /* greedily, behind the prompt */
    size_t parts_at;        /* first of them that differs from the reference's; SIZE_MAX: none */
} compared;

typedef struct comparison {
    const pf_model *model;
    const pf_tokenizer *tokenizer; /* or NULL */
    const input_texts *texts;
    compared *rows; /* [n]; row 0 is the reference. Names and options are the caller's, the rest is
                       filled in and freed by comparison_free (the array itself is the caller's) */
    size_t n;
    const int32_t *prompt;    /* [n_prompt] of the greedy continuations, in texts */
    size_t n_prompt, n_write; /* n_write: tokens to continue with; 0: none */
    double *z;                /* [L, H] of the reference, layer_error.h says of what */
    void (*tell)(void *context, size_t done); /* hears of tokens read of n * all; may be NULL */
    void *context;
} comparison;

/* Runs all rows. False with a sentence; interrupted by Ctrl-C, too. */
bool comparison_run(comparison *c, pf_error *error);
void comparison_free(comparison *c);

#endif
