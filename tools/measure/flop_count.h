/* floor 5.4 - FLOP count: bytes moved and operations done per token, by counting. */
#ifndef FLOP_COUNT_H
#define FLOP_COUNT_H

#include "model.h"

typedef struct flop_count {
    double bytes; /* memory that one decoded token touches: weights, and state read and written */
    double flops; /* multiply and add are two */
} flop_count;

/* A token behind `context` others; with `prefill` the mean over a prompt of that length, of which
 * only the last token needs logits (bytes then do not count: weights are shared by many tokens). */
flop_count flop_count_token(const pf_model *model, const pf_attention_options *attention,
                            size_t context, bool prefill);

/* Operations of one layer's attention over a whole text of n tokens. */
double flop_count_attention(const pf_model *model, const pf_attention_options *attention, size_t n);

/* The type that most bytes of matrices have. */
pf_type flop_count_main_type(const pf_model *model);

#endif
