/* floor 1.12 - attention plan: how much each head keeps, worked out before anything is
 * allocated. */
#ifndef PF_ATTENTION_PLAN_H
#define PF_ATTENTION_PLAN_H

#include "attention_head.h"

/* What one KV head keeps. */
typedef struct pf_head_plan {
    size_t sinks, window; /* S, W; as in pf_head */
    size_t slots;         /* of a fixed cache: S + W, or the context; 0 if the cache grows */
    size_t slot_floats;   /* of state for the slots, in whole cache lines */
    size_t token_bytes;   /* by which a growing cache grows with every token; otherwise 0 */
    size_t M, n_tails;    /* 0: the cache is all that this head has */
    size_t floats;        /* of constant state in all */
} pf_head_plan;

/* False, with a sentence, if the model cannot have this attention. */
bool pf_attention_check(const pf_attention_config *config, pf_error *error);

/* Heads of all layers are numbered layer * n_kv_heads + KV head. */
size_t pf_attention_n_heads(const pf_attention_config *config);
pf_head_plan pf_head_plan_of(const pf_attention_config *config, size_t index);

/* Bytes of state that a session with this attention keeps, however long the text is, and those that
 * every token adds. Softmax's cache is allocated for the whole context, so all of it is
 * constant. */
typedef struct pf_attention_bytes {
    size_t constant, per_token;
} pf_attention_bytes;
pf_attention_bytes pf_attention_planned_bytes(const pf_attention_config *config);

#endif
