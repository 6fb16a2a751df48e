/* floor 2.3 - train LoRA: an update of low rank for the matrices of attention, and its derivative.
 *
 *   W = W0 + scale B A,  A [rank, in], B [out, rank]          (Hu 2021, section 4.1)
 *   dA = scale B^T dW,   dB = scale dW A^T
 *
 * For q, k, v and the output of every layer. W0 does not change. W is made before each step, so the
 * pass knows nothing of all this, and its gradient dW is turned into those of A and B afterwards:
 * at the cost of one product with all rows of a matrix, which is little beside the rest.
 */
#ifndef PF_TRAIN_LORA_H
#define PF_TRAIN_LORA_H

#include "rng.h"
#include "threads.h"
#include "train_weights.h"

enum { PF_LORA_Q, PF_LORA_K, PF_LORA_V, PF_LORA_OUTPUT, PF_LORA_PARTS };

typedef struct pf_train_lora_pair {
    size_t in, out;
    pf_real *a, *b; /* [rank, in], [out, rank] */
} pf_train_lora_pair;

typedef struct pf_train_lora {
    size_t rank;
    pf_real scale;
    pf_train_lora_pair *pairs; /* [L, PF_LORA_PARTS]; yours */
} pf_train_lora;

/* How many numbers all pairs have, and where: points them into `memory`, one after the other. */
size_t pf_train_lora_numbers(const pf_model *model, size_t rank);
void pf_train_lora_lay_out(const pf_model *model, pf_real *memory, const pf_train_lora *lora);

/* A random, B zero: W = W0. */
void pf_train_lora_begin(const pf_model *model, const pf_train_lora *lora, pf_rng *rng);

/* The matrices of attention alone: [L] layers of which only qkv and output are set, in `memory`.
 * Returns how many numbers there are. */
size_t pf_train_attention_lay_out(const pf_model *model, pf_real *memory, pf_train_layer *layers);

/* to [L] = from [L] + scale B A, shared out in the team. */
void pf_train_lora_apply(const pf_model *model, const pf_train_lora *lora,
                         const pf_train_layer *from, const pf_train_layer *to, pf_team *team);
/* Adds to the gradients of A and B, from dW in d_layers [L]. */
void pf_train_lora_back(const pf_model *model, const pf_train_lora *lora,
                        const pf_train_layer *d_layers, const pf_train_lora *gradient,
                        pf_team *team);

#endif
