/* floor 1.11 - attention plan: how much every head keeps, worked out before anything is allocated. */
#ifndef PF_ATTENTION_PLAN_H
#define PF_ATTENTION_PLAN_H

#include "attention_head.h"

/* The model as attention sees it. All pointers are borrowed. */
typedef struct pf_attention_shape {
    uint32_t n_layers, n_heads, n_kv_heads, head_dim;
    uint32_t trained_context;
    float scale; /* of the scores, 1 / sqrt(D) in most models */
    pf_position_kind position;
    uint32_t rope_dim;
    float rope_base;
    const float *rope_factors;
    bool tail_rope;
    const uint32_t *windows;       /* [n_layers, n_kv_heads] or NULL: options.window */
    const uint32_t *head_features; /* [n_layers, n_kv_heads] or NULL: options.features */
    const pf_favor_weights *favor; /* [n_layers] */
} pf_attention_shape;

/* What one KV head keeps. */
typedef struct pf_head_plan {
    size_t window, slots; /* W; S + W, or the context */
    size_t slot_floats;   /* of state for the slots, in whole cache lines */
    size_t M, n_tails;    /* 0: the window is all that this head has */
    size_t floats;        /* of state in all */
} pf_head_plan;

/* False, with a sentence, if the model cannot have this attention. */
bool pf_attention_check(const pf_attention_shape *shape, const pf_attention_options *options,
                        pf_error *error);

/* Heads are numbered layer * n_kv_heads + KV head, up to pf_attention_n_heads. */
size_t pf_attention_n_heads(const pf_attention_shape *shape);
pf_head_index pf_head_index_at(const pf_attention_shape *shape, size_t index);
pf_head_plan pf_head_plan_of(const pf_attention_shape *shape, const pf_attention_options *options,
                             size_t context, size_t index);
size_t pf_state_round_up(size_t floats); /* to whole cache lines */

/* Bytes of state that a session of this attention allocates. */
size_t pf_attention_planned_bytes(const pf_attention_shape *shape,
                                  const pf_attention_options *options, size_t context);

#endif
