/* floor 2.6 - feature fit: fits the features of map `normalized`, one layer at a time.
 *
 * docs/favor.md, "Pretrained models: calibration".
 *
 *   log phi(x)_m = w_m.x + b_m - logsumexp_m'(w_m'.x + b_m') + u.x + c
 *
 * Each query head has a set (w, b, u, c) of its own, and so have the keys of each KV head. The fit
 * minimises the error of the layer's output, |(o - o^) W_o^T|^2 / |o W_o^T|^2: o is exact
 * attention, o^ has sinks and window exact and the rest through the features. W_o enters only as
 * its Gram matrix W_o^T W_o. Given the keys, rows of attention are independent, so a step samples
 * some texts and a few random rows of each. Gradients pass through matrix products (tail_sweep.h)
 * and log-softmaxes. Steps are Adam's (Kingma & Ba 2015), and their scale suits the balanced space
 * of closed_form.h: the fit works on q' = A_q (q - a), k' = A_k (k - b), both before RoPE, and is
 * folded back at the end.
 *
 * One object fits all layers, one after another:
 *   begin(layer)  takes over a layer, balances its queries and keys, draws the initial features
 *   run           fits them
 *   measure, apply, store
 */
#ifndef PF_FEATURE_FIT_H
#define PF_FEATURE_FIT_H

#include "closed_form.h"
#include "exact_targets.h"

typedef struct pf_fit_options {
    size_t steps, warm_up; /* 900 and 20; the warm-up takes at most a quarter of the steps */
    size_t texts, rows;    /* sampled in a step: 2 texts, 128 random rows of each */
    float rate;            /* 0.05 after the warm-up, then falling to 0 */
    size_t forget;         /* decay of the tails (attention_options.h); 0: none */
    uint64_t seed;
    int n_threads;
    /* Called before every step; returning true skips the remaining steps. May be NULL. */
    bool (*stop)(void *context);
    void *context;
} pf_fit_options;

pf_fit_options pf_fit_options_default(void);

typedef struct pf_feature_fit pf_feature_fit;

/* max_M: the most features that a head may have. targets must outlive the fit. */
pf_feature_fit *pf_feature_fit_new(const pf_exact_targets *targets, size_t max_M,
                                   const pf_fit_options *options, pf_error *error);
void pf_feature_fit_free(pf_feature_fit *fit); /* NULL is allowed */

/* Call after pf_exact_targets_walk of the same layer. M [KV]: features per KV head. A head with 0
 * has only its window and is not prepared: pf_feature_fit_start must not give it features later. */
bool pf_feature_fit_begin(pf_feature_fit *fit, size_t layer, const size_t *M, pf_error *error);
/* Starts the same layer over with other numbers of features. */
void pf_feature_fit_start(pf_feature_fit *fit, const size_t *M);

/* Runs this many steps of Adam. The rate rises during options.warm_up steps, then falls to 0. */
void pf_feature_fit_run(pf_feature_fit *fit, size_t steps);

/* errors [KV, n_windows]: for each KV head and measured window the mean, over the measured rows, of
 * |error of the head's output after W_o|^2 / |row of the residual stream|^2.
 * tails false: without tails. */
void pf_feature_fit_measure(pf_feature_fit *fit, bool tails, double *errors);

/* Writes the approximated attention of all rows to out [n_rows, H D]; tails as above. Returns the
 * layer's relative squared error |(o - o^) W_o^T|^2 / |o W_o^T|^2 over all rows. */
double pf_feature_fit_apply(pf_feature_fit *fit, bool tails, float *out);

/* The fitted tensors for pf_favor_weights, folded back to take q and k before RoPE, scaled by
 * sqrt(attention scale): q_weight [H, most + 1, D], q_bias [H, most + 1], k_* the same for KV
 * heads. most: the largest number of features in the layer. Rows that a head does not use are not
 * written. */
void pf_feature_fit_store(const pf_feature_fit *fit, size_t most, float *q_weight, float *q_bias,
                          float *k_weight, float *k_bias);

/* For tests: the parameters of a KV head, in the order of feature_fit_state.h; and the loss of a
 * step on fixed rows, without an update, with its gradient [n] (may be NULL). */
float *pf_feature_fit_parameters(pf_feature_fit *fit, size_t kv_head, size_t *n);
double pf_feature_fit_loss(pf_feature_fit *fit, size_t kv_head, float *gradient);

#endif
