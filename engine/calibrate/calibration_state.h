/* floor 2.8 - calibration, inside: what a calibration at work is made of; private to calibration*.c. */
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
    size_t windows[PF_MOST_WINDOWS], n_windows, mean_window; /* mean_window: its place */
    size_t sizes[PF_MOST_SIZES], n_sizes;
    double *errors;     /* [n_sizes + 1, L, KV, n_windows]: without a tail, then by size */
    double *weight;     /* [L, KV] what an error of a head costs, nats */
    size_t *M;          /* [KV] of the layer at work */
    double done, total; /* units of work, for the progress */
    double probe_work;
} pf_calibration_run;

static inline size_t pf_calibration_heads(const pf_calibration_run *r) {
    return (size_t)r->model->n_layers * r->model->n_kv_heads;
}

/* The place of a window among those measured, or of the next larger one. */
static inline size_t pf_calibration_place(const pf_calibration_run *r, size_t window) {
    size_t i = 0;
    while (i + 1 < r->n_windows && r->windows[i] < window) i++;
    return i;
}

/* calibration_closed.c: centres, maps and proposal of a layer, from q and k after RoPE. */
bool pf_calibration_close(pf_calibration_run *r, size_t layer, pf_error *error);

/* calibration_choose.c. Which windows and sizes of tail are measured; false if the budget is too
 * small for any. */
bool pf_calibration_plan(pf_calibration_run *r, pf_error *error);
/* What a unit of each head's error costs, at the windows of the result. */
bool pf_calibration_weigh(pf_calibration_run *r, const pf_text_ids *texts, size_t n_texts,
                          pf_error *error);
/* Gives every head a window and a number of features within the budget, by the errors measured so far.
 * tails false: all heads have options->features, and the errors without tails decide. */
bool pf_calibration_choose(pf_calibration_run *r, bool tails, pf_error *error);

#endif
