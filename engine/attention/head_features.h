/* floor 1.9 - which features a head uses: drawn, stored in the checkpoint, or fitted.
 *
 * The one place that decides: what the options ask for against what the checkpoint offers.
 */
#ifndef PF_HEAD_FEATURES_H
#define PF_HEAD_FEATURES_H

#include "error.h"
#include "random_features.h"

/* The features of the queries that share one KV head, and of its keys. */
typedef struct pf_head_features {
    pf_features *q; /* [G] one per query head of the group */
    pf_features *k; /* [n_tails] G if every query head has projections of its own, else 1 */
    size_t G, n_tails;
    float tail_epsilon; /* pf_favor_state's */
    float *memory;      /* omega and bias of all of them; owned */
    size_t memory_floats;
} pf_head_features;

typedef struct pf_head_index {
    uint32_t layer, kv_head, n_heads, n_kv_heads, D;
    float attention_scale;
} pf_head_index;

/* 1, or the queries per KV head where the projections are stored per query head. */
size_t pf_head_n_tails(const pf_attention_options *options, const pf_favor_weights *weights,
                       pf_head_index place);

/* Makes the features of one KV head with M features for draw number `draw` of the options' seed
 * (0 first, then one more at each redraw). Fails if the options ask for what the checkpoint lacks.
 * Free with pf_head_features_free; redraw needs no allocation. */
bool pf_head_features_new(pf_head_features *features, const pf_attention_options *options,
                          const pf_favor_weights *weights, pf_head_index place, uint32_t M,
                          pf_error *error);
void pf_head_features_free(pf_head_features *features);

/* Draws the projections of draw number `draw`; nothing changes where they are stored or fitted.
 * scratch: D * D doubles. */
void pf_head_features_draw(pf_head_features *features, const pf_attention_options *options,
                           const pf_favor_weights *weights, pf_head_index place, uint32_t draw,
                           double *scratch);

/* Takes over the current draw of features made with the same arguments. */
void pf_head_features_copy(pf_head_features *to, const pf_head_features *from);

#endif
