/* floor 5.5 - comparison: one model, a reference and any number of settings, over the same texts.
 *
 * Every session reads every text; at each predicted token the distribution p of the reference meets
 * q of the setting. All numbers come from these sessions' logits.
 */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "input.h"
#include "session.h"

/* What one setting did; the reference has a row of its own, with divergence 0. */
typedef struct compared {
    char name[128]; /* as it was given */
    pf_session_options options;
    size_t predicted;
    double nll;  /* sum of -log q[next], nats */
    double kl;   /* sum of KL(p || q), nats */
    size_t top1; /* positions whose most probable token agrees */
    size_t state_bytes;
    double prefill_seconds; /* reading all texts, logits included */
    size_t prefill_tokens;
    double decode_seconds; /* one token at a time, behind the last text */
    size_t decode_tokens;
    pf_session_stats stats;
} compared;

/* Runs rows [n]; row 0 is the reference. options and names are set by the caller, the rest is filled
 * in. tell (may be NULL) hears of tokens read of n * (all texts' tokens). False with a sentence;
 * interrupted by Ctrl-C, too. */
bool compare_texts(const pf_model *model, const input_texts *texts, compared *rows, size_t n,
                   void (*tell)(void *context, size_t done), void *context, pf_error *error);

#endif
