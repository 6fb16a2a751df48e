/* floor 2.9 - calibration state: a calibration while it runs; private to calibration*.c. */
#ifndef PF_CALIBRATION_STATE_H
#define PF_CALIBRATION_STATE_H

#include "calibration.h"

enum { PF_MOST_WINDOWS = 24, PF_MOST_SIZES = 8 };

typedef struct pf_calibration_run {
    const pf_model *model;
    const pf_calibration_options *options;
    pf_calibration *result;
    pf_layerwise *w;
    pf_exact_targets *exact;
    pf_feature_fit *fit;
    size_t windows[PF_MOST_WINDOWS], n_windows; /* the windows measured, ascending */
    size_t mean_window;                         /* index of options->window among them */
    size_t sizes[PF_MOST_SIZES], n_sizes;       /* features of the tails measured */
    double *errors;        /* [n_sizes + 1, L, KV, n_windows] first without tails, then by size */
    double *weight;        /* [L, KV] nats of divergence per unit of the head's error */
    uint32_t *long_window; /* [L, KV] of recall heads: PF_WINDOW_ALL or the least window; else 0 */
    size_t more_windows[PF_MOST_WINDOWS],
        n_more_windows; /* as long as the texts, for recall heads */
    size_t *M;          /* [KV] features in the current layer */
    double done, total; /* units of work, for the progress */
    double probe_work;  /* those of pf_calibration_weigh */
    double recall_work; /* those of pf_calibration_find_recall */
    bool searched;      /* it has begun: from now on exact heads are counted */
} pf_calibration_run;

static inline size_t pf_calibration_heads(const pf_calibration_run *r) {
    return (size_t)r->model->n_layers * r->model->n_kv_heads;
}

/* The index of the smallest measured window >= `window`; of the largest if there is none. */
static inline size_t pf_calibration_window_index(const pf_calibration_run *r, size_t window) {
    size_t i = 0;
    while (i + 1 < r->n_windows && r->windows[i] < window) i++;
    return i;
}

/* calibration_closed.c: centres, maps and proposals of a layer, from q and k after RoPE. */
bool pf_calibration_closed_form(pf_calibration_run *r, size_t layer, pf_error *error);

/* calibration_choose.c: lists the windows and sizes of tail to measure. Fails if the budget is too
 * small for the smallest of them. */
bool pf_calibration_plan(pf_calibration_run *r, pf_error *error);
/* Sets r->weight by head_sensitivity.h, at the result's windows. */
bool pf_calibration_weigh(pf_calibration_run *r, const pf_text_ids *texts, size_t n_texts,
                          pf_error *error);
/* Gives every head a window and a number of features within the budget, by the errors measured so
 * far. tails false: all heads have options->features, and the errors without tails decide. */
bool pf_calibration_choose(pf_calibration_run *r, bool tails, pf_error *error);
/* Bytes of constant state that the heads may take; that they would take with the mean window and
 * the mean number of features; and that one slot takes. */
double pf_calibration_budget_bytes(const pf_calibration_run *r);
double pf_calibration_mean_bytes(const pf_calibration_run *r);
double pf_calibration_slot_bytes(const pf_calibration_run *r);

/* calibration_recall.c: finds the recall heads at the result's windows, and chooses anew with
 * them. */
bool pf_calibration_find_recall(pf_calibration_run *r, pf_error *error);

#endif
