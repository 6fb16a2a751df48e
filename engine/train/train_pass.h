/* floor 2.5 - train pass: the whole model forwards over a batch, and the loss back to all weights.
 *
 *   forward                                       backward, with d_y the gradient of the loss by y
 *   x = embedding[token]                          d_embedding[token] += d_x
 *   per layer:
 *     q, k, v = W norm(x), q and k turned         d_W += d_qkv^T norm(x)
 *     mid = x + W attention(q, k, v)              d_x  = d_mid + back through the above
 *     next = mid + down(silu(gate) up)            d_mid = d_next + back through the MLP
 *   loss = mean of -log softmax(W norm(x))[next token]
 *
 * The members of a team share every step: rows of the batch, heads of attention, rows of a weight's
 * gradient. The shares are cut the same way whatever the size of the team, and sums are in one
 * order, so the numbers do not depend on the number of threads.
 *
 * Kept from forward to backward, per layer: the residual rows before and between its blocks, q, k
 * and v, the heads' outputs with one normaliser each, gate and up. Norms, activations, features and
 * softmax weights are computed again.
 */
#ifndef PF_TRAIN_PASS_H
#define PF_TRAIN_PASS_H

#include "threads.h"
#include "train_weights.h"

typedef struct pf_train_pass pf_train_pass;

/* For batches of up to `batch` sequences of up to `tokens` predictions, by teams of up to
 * n_threads. The model gives the shape and must outlive the pass; its weights are not read.
 * Attention: softmax, or favor. With map normalized, the features are weights->fitted, and heads
 * have the windows and numbers of features that the model's file gives them (checked).
 * Free with pf_train_pass_free. */
pf_train_pass *pf_train_pass_new(const pf_model *model, const pf_attention_options *attention,
                                 size_t batch, size_t tokens, int n_threads, pf_error *error);
void pf_train_pass_free(pf_train_pass *pass); /* NULL is allowed */
/* Bytes that pf_train_pass_new would take. */
size_t pf_train_pass_bytes(const pf_model *model, const pf_attention_options *attention,
                           size_t batch, size_t tokens, int n_threads);

/* Projections of KV head `kv_head` of a layer [pf_map_projections, D], for you to fill in. */
pf_real *pf_train_pass_omega(pf_train_pass *pass, size_t layer, size_t kv_head);

/* Its threads, for other work between two runs. */
pf_team *pf_train_pass_team(pf_train_pass *pass);

/* What to compute next: ids [batch, tokens + 1], of which each row's last is only a target. */
typedef struct pf_train_batch {
    const int32_t *ids;
    size_t batch, tokens;
    pf_real weight; /* of the loss of one prediction in the gradient: 1 / predictions for a mean */
    bool taught;    /* the loss is the divergence from the teacher of this batch */
} pf_train_batch;

/* Before the first lesson: memory for the teacher. */
bool pf_train_pass_prepare_teacher(pf_train_pass *pass, pf_error *error);
/* Bytes of that. */
size_t pf_train_teacher_bytes(const pf_model *model, size_t batch, size_t tokens, int n_threads);
/* Reads a batch with exact softmax attention and keeps what it predicts, for the next
 * pf_train_pass_run with `taught`. The teacher's matrix of the logits must be the learner's. */
void pf_train_pass_teach(pf_train_pass *pass, const pf_train_weights *teacher,
                         pf_train_batch batch);

/* The sum of the losses of all predictions. If `gradient` is not NULL, adds to it the gradient of
 * weight times that sum. Where a part of *gradient is NULL, those weights are held fixed; qkv,
 * output and fitted must be there if anything is. */
double pf_train_pass_run(pf_train_pass *pass, const pf_train_weights *weights,
                         const pf_train_weights *gradient, pf_train_batch batch);

#endif
