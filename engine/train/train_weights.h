/* floor 2.2 - train weights: where each weight of a model is in one block of numbers.
 *
 * The weights, their gradient and both moments of AdamW are four blocks of one layout. Matrices
 * come first, then the vectors of the norms, which weight decay leaves alone.
 */
#ifndef PF_TRAIN_WEIGHTS_H
#define PF_TRAIN_WEIGHTS_H

#include "error.h"
#include "model.h"
#include "real.h"

typedef struct pf_train_layer {
    pf_real *qkv;                       /* [(H + 2 n_kv_heads) D, C] rows of q, then k, then v */
    pf_real *output;                    /* [C, H D] */
    pf_real *gate_up;                   /* [2 F, C] rows of gate, then up */
    pf_real *down;                      /* [C, F] */
    pf_real *attention_norm, *mlp_norm; /* [C] */
} pf_train_layer;

typedef struct pf_train_weights {
    pf_real *embedding;     /* [V, C] */
    pf_real *logits;        /* [V, C]; the embedding itself where tied */
    pf_real *final_norm;    /* [C] */
    pf_real *fitted;        /* features that are learned (train_fitted.h); NULL: none */
    pf_train_layer *layers; /* [L]; yours */
    size_t n;               /* numbers in the block, and how many of them decay */
    size_t n_matrices;
} pf_train_weights;

/* False with a message if the model has something that cannot be trained here: training knows
 * llama's shape, that is RMS norms, RoPE, SwiGLU, no biases. */
bool pf_train_can(const pf_model *model, pf_error *error);

/* Points all of *w but `fitted` into `memory`, which may be NULL, to count. w->layers must have
 * n_layers items. */
void pf_train_weights_lay_out(const pf_model *model, pf_real *memory, pf_train_weights *w);

/* Copies the model's weights, whatever their type, into the block. False if memory runs out. */
bool pf_train_weights_read(const pf_model *model, const pf_train_weights *w, pf_error *error);

#endif
