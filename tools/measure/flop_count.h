/* floor 5.4 - FLOP count: bytes moved and operations done per token, counted from the shapes. */
#ifndef FLOP_COUNT_H
#define FLOP_COUNT_H

#include "model.h"

typedef struct flop_count {
    double bytes; /* memory traffic of one decoded token: weights read, state read and written */
    double flops; /* a multiply-add counts as two */
} flop_count;

/* One token after `context` others. With `prefill`, the mean over a prompt of that length, of which
 * only the last token needs logits; bytes then mean little, as many tokens share each read of a
 * weight. */
flop_count flop_count_token(const pf_model *model, const pf_attention_options *attention,
                            size_t context, bool prefill);

/* Operations of attention in one layer over a whole text of n tokens. */
double flop_count_attention(const pf_model *model, const pf_attention_options *attention, size_t n);

/* The share of each type in the bytes of all matrices that a decoded token reads: shares
 * [PF_TYPE_COUNT], with sum 1. Returns the type of the largest share. */
pf_type flop_count_types(const pf_model *model, double *shares);

#endif
