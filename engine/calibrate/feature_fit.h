/* floor 2.6 - feature fit: the features of map `normalized`, fitted to one layer at a time (FAVOR.md, "A
 * pretrained softmax model under FAVOR+", 4).
 *
 *   log phi(x)_m = w_m.x + b_m - logsumexp_m'(w_m'.x + b_m') + u.x + c
 *
 * one set (w, b, u, c) for each query head, one for the keys of each KV head. What is minimised is the
 * error of the layer's output, |(o - o^) W_o^T|^2 / |o W_o^T|^2, where o is exact attention and o^ has
 * sinks and window exact and the rest through the features. W_o enters as its Gram matrix W_o^T W_o
 * alone. Rows of attention are independent given the keys, so a step takes some texts and a few random
 * rows of each. Gradients are those of matrix products (tail_sweep.h) and, in logarithms, of a softmax;
 * steps are Adam's (Kingma & Ba 2015), whose scale suits the balanced space of closed_form.h: the fit
 * works on q' = A_q (q - a), k' = A_k (k - b), both before RoPE, and is folded back at the end.
 *
 * One object serves all layers, one after the other:
 *   begin(layer)  measures, balances, draws where to start
 *   run           fits
 *   measure, apply, store
 */
#ifndef PF_FEATURE_FIT_H
#define PF_FEATURE_FIT_H

#include "closed_form.h"
#include "exact_targets.h"

typedef struct pf_fit_options {
    size_t steps, warm_up; /* 900; 20, at most a quarter of the steps */
    size_t texts, rows;    /* per step: 2 texts, 128 random rows of each */
    float rate;            /* 0.05 after the warm-up, falling to 0 */
    size_t forget;         /* the tails' (attention_options.h); 0: nothing is forgotten */
    uint64_t seed;
    int n_threads;
    /* Asked before every step; true leaves out the rest of them. May be NULL. */
    bool (*stop)(void *context);
    void *context;
} pf_fit_options;

pf_fit_options pf_fit_options_default(void);

typedef struct pf_feature_fit pf_feature_fit;

/* max_M: most features of a head. targets must outlive it. */
pf_feature_fit *pf_feature_fit_new(const pf_exact_targets *targets, size_t max_M,
                                   const pf_fit_options *options, pf_error *error);
void pf_feature_fit_free(pf_feature_fit *fit); /* NULL is allowed */

/* After pf_exact_targets_walk: takes over its layer, with M [KV] features per KV head (0: window only,
 * and nothing is prepared for a later start with more). */
bool pf_feature_fit_begin(pf_feature_fit *fit, size_t layer, const size_t *M, pf_error *error);
/* Starts over with other numbers of features, on what begin prepared. */
void pf_feature_fit_start(pf_feature_fit *fit, const size_t *M);

/* So many steps of Adam, their rate rising over options.warm_up and falling to 0. */
void pf_feature_fit_run(pf_feature_fit *fit, size_t steps);

/* Mean over the measured rows of |error of a KV head's output after W_o|^2 / |residual row|^2, for each
 * KV head and measured window: errors [KV, n_windows]. tails false: as if there were none. */
void pf_feature_fit_measure(pf_feature_fit *fit, bool tails, double *errors);

/* Attention as approximated, all rows -> out [n_rows, H D]; tails as above. Returns the layer's relative
 * squared error |(o - o^) W_o^T|^2 / |o W_o^T|^2 over them. */
double pf_feature_fit_apply(pf_feature_fit *fit, bool tails, float *out);

/* The fitted tensors, folded back for q and k before RoPE, scaled by sqrt(attention scale), as
 * pf_favor_weights wants them: q_weight [H, most + 1, D], q_bias [H, most + 1], k_* the same for KV heads,
 * where `most` is the largest number of features in the layer. Rows that a head does not use stay as they
 * are. */
void pf_feature_fit_store(const pf_feature_fit *fit, size_t most, float *q_weight, float *q_bias,
                          float *k_weight, float *k_bias);

/* For tests: the parameters of a KV head, as feature_fit_state.h lays them out; and the loss of a step on
 * fixed rows with its gradient [n] (NULL: not wanted), nothing updated. */
float *pf_feature_fit_parameters(pf_feature_fit *fit, size_t kv_head, size_t *n);
double pf_feature_fit_loss(pf_feature_fit *fit, size_t kv_head, float *gradient);

#endif
