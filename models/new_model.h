/* floor 4.6 - new model: a checkpoint of llama's shape with random weights, for training. */
#ifndef PF_NEW_MODEL_H
#define PF_NEW_MODEL_H

#include "checkpoint.h"
#include "vocabulary.h"

typedef struct pf_new_shape {
    uint32_t n_layers, width, hidden, n_heads, n_kv_heads, context;
    uint64_t seed; /* of the weights */
} pf_new_shape;

/* Hyperparameters, weights and tokenizer of a new model (family llama, tied embedding, F32).
 * Weights are N(0, 0.02^2); those that add to the residual stream, of attention's output and of the
 * MLP's down, N(0, 0.02^2 / 2L) (Radford 2019, sec. 2.3). Fails if the shape is impossible. Free it
 * with pf_checkpoint_free. */
pf_checkpoint *pf_new_model(const pf_new_shape *shape, const pf_vocabulary *vocabulary,
                            pf_error *error);

#endif
