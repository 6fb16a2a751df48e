/* floor 5.5 - comparison: a reference and any number of settings of one model on the same texts.
 *
 * All sessions read every text side by side, a chunk at a time. At each predicted token, the
 * reference's distribution p is compared with the setting's q, and taps compare the layers. Then
 * each session continues the first text greedily. All numbers come from these sessions.
 */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "input.h"
#include "layer_error.h"

/* The results of one setting. The reference has a row too, with divergence 0. */
typedef struct compared {
    char name[128]; /* as given by the user */
    pf_session_options options;
    const pf_model *model; /* the comparison's, or for the reference another of its shape */
    size_t predicted;
    double nll;          /* sum of -log q[next], nats */
    double kl;           /* sum of KL(p || q), nats */
    double *kls;         /* [predicted] KL at each position, texts one after another */
    double *kls_sorted;  /* [predicted] */
    size_t top1;         /* positions where the most probable token agrees */
    size_t top5;         /* tokens that both have among their five most probable, summed */
    layer_error *layers; /* [L]; zero for the reference */
    size_t state_bytes;
    double prefill_seconds; /* reading all texts, all logits included */
    size_t prefill_tokens;
    double decode_seconds;  /* median over single tokens after the last text */
    pf_session_stats stats; /* of reading the texts */
    pf_tokens written;      /* greedy continuation of the prompt */
    size_t parts_at; /* index of the first that differs from the reference's; SIZE_MAX: none */
} compared;

typedef struct comparison {
    const pf_model *model;
    const pf_tokenizer *tokenizer; /* or NULL */
    const input_texts *texts;
    compared *rows; /* [n]; row 0 is the reference. The caller provides the array with names, models
                       and options; the rest is filled in here and freed by comparison_free */
    size_t n;
    const int32_t *prompt;                    /* [n_prompt] of the greedy continuations, in texts */
    size_t n_prompt, n_write;                 /* n_write: tokens to write; 0: no continuation */
    double *z;                                /* [L, H] of the reference: Z as in layer_error.h */
    void (*tell)(void *context, size_t done); /* progress; may be NULL */
    void *context;
} comparison;

/* Runs all rows. Fails with a message, also on Ctrl-C. */
bool comparison_run(comparison *c, pf_error *error);
void comparison_free(comparison *c);

#endif
