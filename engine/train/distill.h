/* floor 2.7 - distill: what a model under Performer attention learns from itself under softmax.
 *
 *   loss = mean over positions of KL(teacher || learner)                       (Hinton et al. 2015)
 *
 * The teacher is the model as it was, with exact attention. The learner has its weights, but an
 * update of low rank in the matrices of attention (train_lora.h), and features of its own
 * (train_fitted.h). Only these are learned: one block of numbers, the update's A and B, then the
 * features.
 */
#ifndef PF_DISTILL_H
#define PF_DISTILL_H

#include "adamw.h"
#include "train_fitted.h"
#include "train_lora.h"

typedef struct pf_distill {
    const pf_model *model;
    pf_attention_config attention;
    pf_train_lora lora, d_lora; /* in the block of numbers, and in that of their gradient */
    pf_train_weights learner;   /* views: what it shares with the teacher, and its own */
    pf_train_weights teacher;   /* views */
    pf_train_weights d_learner; /* views; NULL for all that is held fixed */
    size_t n_lora, n_attention;
    pf_train_layer *layers; /* [3, L] of the three above */
    pf_real *memory, *d_attention;
} pf_distill;

/* How many numbers are learned, and how many bytes pf_distill_new would take. */
size_t pf_distill_numbers(const pf_model *model, const pf_attention_options *attention,
                          size_t rank);
size_t pf_distill_bytes(const pf_model *model);

/* Reads the model's weights and begins with W = W0: `numbers` is filled in. numbers and model must
 * outlive it. NULL if memory runs out. Free with pf_distill_free. */
pf_distill *pf_distill_new(const pf_model *model, const pf_attention_options *attention,
                           size_t rank, const pf_adamw_state *numbers, uint64_t seed,
                           pf_error *error);
void pf_distill_free(pf_distill *distill); /* NULL is allowed */

/* The learner's matrices, from the numbers as they are now. */
void pf_distill_apply(pf_distill *distill, pf_team *team);
/* Around the passes of a step: clears the gradient of the matrices, and turns it into that of the
 * numbers. */
void pf_distill_clear(pf_distill *distill);
void pf_distill_back(pf_distill *distill, pf_team *team);

#endif
