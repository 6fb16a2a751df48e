/* floor 5.4 - cost: bytes moved and operations done per token, by counting. */
#ifndef COST_H
#define COST_H

#include "model.h"

typedef struct cost {
    double bytes; /* memory that one decoded token touches: weights, and state read and written */
    double flops; /* multiply and add are two */
} cost;

/* A token behind `context` others; with `prefill` the mean over a prompt of that length, of which
 * only the last token needs logits (bytes then do not count: weights are shared by many tokens). */
cost cost_of(const pf_model *model, const pf_attention_options *attention, size_t context,
             bool prefill);

/* Operations of one layer's attention over a whole text of n tokens. */
double cost_of_attention(const pf_model *model, const pf_attention_options *attention, size_t n);

/* The type that most bytes of matrices have. */
pf_type cost_main_type(const pf_model *model);

#endif
