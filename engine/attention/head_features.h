/* floor 1.9 - which features a head uses: drawn, stored in the checkpoint, or fitted.
 *
 * The one place that weighs what the options ask for against what the checkpoint offers.
 */
#ifndef PF_HEAD_FEATURES_H
#define PF_HEAD_FEATURES_H

#include "attention_config.h"
#include "error.h"
#include "random_features.h"

/* phi for the queries that share one KV head, and for its keys. */
typedef struct pf_head_features {
    pf_features *q; /* [G] one per query head of the group */
    pf_features *k; /* [n_tails] G if every query head has projections of its own, else 1 */
    size_t G, n_tails;
    float tail_epsilon; /* kernel epsilon of the keys, added in favor_state.h */
    float *memory;      /* omega and bias of all of them; owned */
    size_t memory_floats;
} pf_head_features;

/* Tails per KV head of a layer: 1, or G where projections are stored per query head. */
size_t pf_head_n_tails(const pf_attention_config *config, uint32_t layer);

/* Makes the features of one KV head, M of them, with projections still to be drawn. Fails if the
 * options ask for what the checkpoint lacks. Free with pf_head_features_free. */
bool pf_head_features_new(pf_head_features *features, const pf_attention_config *config,
                          uint32_t layer, uint32_t kv_head, uint32_t M, pf_error *error);
void pf_head_features_free(pf_head_features *features);

/* Draws the projections of draw number `draw` of the options' seed (0 first, then one more at each
 * redraw); stored and fitted ones stay. scratch: D * D doubles. Allocates nothing. */
void pf_head_features_draw(pf_head_features *features, const pf_attention_config *config,
                           uint32_t layer, uint32_t kv_head, uint32_t draw, double *scratch);

/* Copies the current draw from features made with the same arguments. */
void pf_head_features_copy(pf_head_features *to, const pf_head_features *from);

#endif
