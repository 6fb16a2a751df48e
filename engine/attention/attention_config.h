/* floor 1.2 - attention config: a model, the attention asked of it, and what follows from both. */
#ifndef PF_ATTENTION_CONFIG_H
#define PF_ATTENTION_CONFIG_H

#include "model.h"

#include <stddef.h>

/* What all heads of a session share. */
typedef struct pf_attention_config {
    const pf_model *model;        /* borrowed: head_dim D, heads, scale of the scores, RoPE */
    pf_attention_options options; /* as resolved by pf_attention_configure */
    size_t context;          /* of the session: what its RoPE, and texts under softmax, are for */
    size_t sink_context;     /* a sink never seems farther away than sink_context - 1 */
    const uint32_t *windows; /* [L, n_kv_heads] or NULL: options.window for all */
    const uint32_t *head_features; /* [L, n_kv_heads] or NULL: options.features for all */
    bool tail_rope;                /* the tail's features read q and k after RoPE, or before */
    bool fresh_projections;        /* draw projections even where the checkpoint stores them */

    /* Rotary angles, kept up to date by pf_attention: cosines and sines of all pairs (rope.h). */
    size_t pairs;             /* dims of a head that rotate / 2; 0: none */
    size_t angle_rows;        /* of the ring below: position p is in row p mod angle_rows */
    const float *angles;      /* [sets, angle_rows, 2 pairs], of which a layer has one */
    const float *sink_angles; /* [2 pairs] of position sink_context - 1 */
} pf_attention_config;

/* Settles what the options leave open; angles are not set. Sizes per head that the checkpoint
 * stores hold unless the options ask for another window or number of features. A fitted map holds
 * for the number of features it was fitted with and without redraws; otherwise the closed-form
 * calibration takes its place (uncalibrated: the positive map). Another seed or kind of projection
 * than the checkpoint's draws features anew. A context beyond the trained one also moves sinks that
 * far. */
pf_attention_config pf_attention_configure(const pf_model *model, pf_attention_options options,
                                           size_t context);

/* The same for one layer. A sliding layer attends to its own window and nothing else, whatever the
 * options ask for: no sinks, no tail. Sliding layers with a theta of their own have their own
 * angles, the rows after those of the others. */
pf_attention_config pf_attention_config_of_layer(const pf_attention_config *config, size_t layer);

/* Sets of angles: 2 if sliding layers rotate by another theta than the others. */
static inline size_t pf_attention_angle_sets(const pf_attention_config *c) {
    return c->model->sliding_rope_base > 0 ? 2 : 1;
}

/* G, the query heads that share one KV head. */
static inline size_t pf_attention_group(const pf_attention_config *c) {
    return c->model->n_heads / c->model->n_kv_heads;
}

/* Floats from one token to the next in rows of queries [T, n_heads, D] and keys [T, n_kv_heads,
 * D]. */
static inline size_t pf_attention_stride_q(const pf_attention_config *c) {
    return (size_t)c->model->n_heads * c->model->head_dim;
}
static inline size_t pf_attention_stride_kv(const pf_attention_config *c) {
    return (size_t)c->model->n_kv_heads * c->model->head_dim;
}

#endif
