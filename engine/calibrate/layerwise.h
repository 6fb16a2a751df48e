/* floor 2.4 - layerwise: computes a model layer by layer, leaving attention to the caller.
 *
 *   for (layer = 0; layer < L; layer++) {
 *       pf_layerwise_project(w, layer);      // residual stream -> q, k, v of all rows
 *       ... your attention: q, k, v -> heads ...
 *       pf_layerwise_finish(w, layer);       // residual stream after the layer
 *   }
 *
 * Only the residual stream and one layer's q, k, v and heads are held: C + 2 H D + 2 n_kv_heads D
 * floats per token, 8 KB for SmolLM2-135M. No layer is computed twice.
 */
#ifndef PF_LAYERWISE_H
#define PF_LAYERWISE_H

#include "session.h"

/* One text. */
typedef struct pf_text_ids {
    const int32_t *ids;
    size_t n;
} pf_text_ids;

/* The rows of all texts, one text after another: text i has rows [first[i], first[i + 1]). */
typedef struct pf_layerwise {
    const pf_model *model;
    size_t n_texts, n_rows, longest; /* longest: tokens of the longest text */
    size_t *first;                   /* [n_texts + 1] */
    size_t layer;                    /* the one that was last projected */
    float *x;                        /* [n_rows, C] the residual stream before or after a layer */
    float *q, *heads;                /* [n_rows, H D] queries before RoPE; output of attention */
    float *k, *v;                    /* [n_rows, n_kv_heads D] keys before RoPE, values */
    pf_session *session;             /* whose activations are used */
} pf_layerwise;

/* Embeds the texts, which you may free afterwards. NULL with a message if an id is not in the
 * model's vocabulary, or a text is empty or longer than the model's learned positions. */
pf_layerwise *pf_layerwise_new(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                               int n_threads, pf_error *error);
void pf_layerwise_free(pf_layerwise *layerwise); /* NULL is allowed */

/* Starts over from the embeddings of the same texts. */
void pf_layerwise_embed(pf_layerwise *layerwise, const pf_text_ids *texts);

void pf_layerwise_project(pf_layerwise *layerwise, size_t layer);
void pf_layerwise_finish(pf_layerwise *layerwise, size_t layer);

/* After the last layer: the logits [n, V] of the rows `row` [n]. */
void pf_layerwise_logits(pf_layerwise *layerwise, const size_t *row, size_t n, float *logits);

#endif
