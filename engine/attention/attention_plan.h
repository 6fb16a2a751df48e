/* floor 1.11 - attention plan: how much each head keeps, worked out before anything is
 * allocated. */
#ifndef PF_ATTENTION_PLAN_H
#define PF_ATTENTION_PLAN_H

#include "attention_head.h"

/* What one KV head keeps. */
typedef struct pf_head_plan {
    size_t window, slots; /* W; S + W, or the context */
    size_t slot_floats;   /* of state for the slots, in whole cache lines */
    size_t M, n_tails;    /* 0: the window is all that this head has */
    size_t floats;        /* of state in all */
} pf_head_plan;

/* False, with a sentence, if the model cannot have this attention. */
bool pf_attention_check(const pf_attention_config *config, pf_error *error);

/* Heads of all layers are numbered layer * n_kv_heads + KV head. */
size_t pf_attention_n_heads(const pf_attention_config *config);
pf_head_plan pf_head_plan_of(const pf_attention_config *config, size_t index);

/* Bytes of state that a session with this attention allocates. */
size_t pf_attention_planned_bytes(const pf_attention_config *config);

#endif
