/* floor 2.8 - trainer: one training run, from a model's weights and a text to better weights.
 *
 *   pf_trainer *t = pf_trainer_new(model, &options, tokens, n, &error);
 *   while (pf_trainer_state(t)->step < options.steps && pf_trainer_step(t, &report, &error)) ...
 *   pf_trainer_free(t);
 *
 * A step draws batch * accumulate windows of the text at random, computes the mean loss of all
 * their predictions and its gradient, and moves the weights by AdamW. Under FAVOR+ every KV head
 * has its own features, drawn as a session draws those that no file stores, and every `redraw`
 * steps anew. The same options and tokens give the same numbers, on any number of threads.
 *
 * With a rank, a step distils instead (distill.h): what is learned is an update of low rank and the
 * fitted features, and the loss is the divergence from the model under softmax.
 */
#ifndef PF_TRAINER_H
#define PF_TRAINER_H

#include "distill.h"
#include "train_pass.h"

typedef struct pf_train_options {
    pf_attention_options attention; /* kind; under favor map, features, projection and seed */
    size_t redraw;                  /* new features every so many steps; 0: never */
    size_t rank;                    /* of the update that is distilled; 0: all weights learn */
    size_t steps, warm_up;
    size_t batch;      /* sequences computed at once ... */
    size_t accumulate; /* ... and how many such batches make a step */
    size_t tokens;     /* predictions in a sequence */
    double rate;       /* the highest learning rate */
    pf_adamw adamw;
    uint64_t seed; /* of the choice of windows */
    int n_threads;
} pf_train_options;

typedef struct pf_train_report {
    size_t step; /* of this report, from 1 */
    double loss; /* mean over the step's predictions, before the weights moved */
    double rate, gradient_norm;
} pf_train_report;

/* All that changes from step to step, and all that is needed to go on. */
typedef struct pf_train_state {
    pf_train_weights weights; /* views into the first block of numbers; distilling: the learner's */
    pf_adamw_state numbers;
    size_t step; /* steps done */
    pf_rng rng;
} pf_train_state;

typedef struct pf_trainer pf_trainer;

/* model: the shape and the first weights; borrowed. tokens [n], borrowed: the text to learn, at
 * least options->tokens + 1 of them, all within the vocabulary. */
pf_trainer *pf_trainer_new(const pf_model *model, const pf_train_options *options,
                           const int32_t *tokens, size_t n, pf_error *error);
void pf_trainer_free(pf_trainer *trainer); /* NULL is allowed */
/* Bytes that pf_trainer_new would take. */
size_t pf_trainer_bytes(const pf_model *model, const pf_train_options *options);

/* One step. False if the loss or its gradient is not finite: the message names the step, and the
 * weights are those of the step before. */
bool pf_trainer_step(pf_trainer *trainer, pf_train_report *report, pf_error *error);

/* The sum of the losses (distilling: divergences) over a text of n >= 2 ids, at most
 * options.tokens + 1, with the current weights and features. */
double pf_trainer_loss(pf_trainer *trainer, const int32_t *ids, size_t n);
/* The same over `batch` texts of n ids each, at most options.batch, one after the other. */
double pf_trainer_losses(pf_trainer *trainer, const int32_t *ids, size_t batch, size_t n);

/* What changes, to read, or to fill in with a saved state; then call pf_trainer_resumed. */
pf_train_state *pf_trainer_state(pf_trainer *trainer);
void pf_trainer_resumed(pf_trainer *trainer);

/* What is distilled; NULL if all weights learn. */
const pf_distill *pf_trainer_distill(const pf_trainer *trainer);

/* The features in use, if they are drawn: Omega of one KV head [m, D]; m is 0 under softmax and for
 * elu. */
const pf_real *pf_trainer_omega(const pf_trainer *trainer, size_t layer, size_t kv_head, size_t *m);

#endif
