/* floor 2.7 - calibration: Performer attention for a pretrained softmax model, from its own queries and
 * keys (FAVOR.md, "A pretrained softmax model under FAVOR+"). None of the model's weights changes.
 *
 * Layer by layer over the calibration texts, two or three times:
 *   survey   exact attention: closed form of every KV head, and what each window alone would cost it
 *   trial    features fitted at first windows, each layer on what the approximated layers below give;
 *            what every window would cost with tails of several sizes; windows and sizes are chosen
 *   fit      features fitted at what was chosen
 * Without a budget, and with the same features for all heads, there is no trial; without a fit only the
 * survey. Fitted tails forget (attention_options.h) three quarters of the longest text.
 */
#ifndef PF_CALIBRATION_H
#define PF_CALIBRATION_H

#include "feature_fit.h"

typedef struct pf_calibration_options {
    size_t window, features; /* means over all KV heads; 64 and 64. 0 features: windows alone */
    size_t sinks;            /* 4 */
    uint64_t state_bytes;    /* the budget; 0: what `window` and `features` for all heads need */
    bool budget;             /* false: the same window and features for all heads */
    bool same_features;      /* the budget gives out windows only, all heads have `features` */
    bool fit;                /* false: closed form only, map favor++ */
    /* Of the fits, and the seed and threads of everything. Its `stop` is asked between layers, too, and
     * ends the calibration with an error, within a step of a fit. */
    pf_fit_options steps;
    /* Called now and then with the share that is done; returning false ends the calibration with an
     * error. May be NULL. */
    bool (*progress)(void *context, double done);
    void *context;
} pf_calibration_options;

pf_calibration_options pf_calibration_options_default(void);

/* One KV head, for the report. Errors are means of |error of its output after W_o|^2 / |residual|^2. */
typedef struct pf_calibrated_head {
    size_t window, features;
    double Z_before, Z_after;               /* closed form, see closed_form.h */
    double variance_before, variance_after; /* logs */
    double outside;                         /* share of attention outside sinks and window */
    double error_same;                      /* the mean window for all, no tail */
    double error_window;                    /* its own window, no tail */
    double error_fitted;                    /* its own window and features */
} pf_calibrated_head;

typedef struct pf_calibrated_layer {
    pf_favor_weights favor;            /* pointers into the calibration */
    double error_window, error_fitted; /* of the whole layer, relative to its exact output */
} pf_calibrated_layer;

typedef struct pf_calibration {
    uint32_t n_layers, n_kv_heads;
    pf_attention_options attention; /* as it is to run */
    bool tail_rope;
    bool per_head;               /* windows and features differ between heads */
    uint32_t *windows;           /* [n_layers, n_kv_heads] */
    uint32_t *head_features;     /* [n_layers, n_kv_heads] */
    pf_calibrated_layer *layers; /* [n_layers] */
    pf_calibrated_head *heads;   /* [n_layers, n_kv_heads] */
    double seconds[3];           /* of survey, trial and fit */
    float **blocks;              /* what the layers point into */
    size_t n_blocks;
} pf_calibration;

/* Texts must be at least a few tokens long; several times the window is what pays. NULL with a message
 * if options do not fit the model or memory does not suffice. */
pf_calibration *pf_calibrate(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                             const pf_calibration_options *options, pf_error *error);
void pf_calibration_free(pf_calibration *calibration); /* NULL is allowed */

#endif
