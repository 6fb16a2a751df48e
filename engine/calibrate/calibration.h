/* floor 2.8 - calibration: fits Performer attention to a pretrained softmax model.
 *
 * docs/favor.md, "Pretrained models: calibration". It uses the model's own queries and keys and
 * changes none of its weights. Each pass goes over the calibration texts layer by layer:
 *   survey   with exact attention: the closed form of every KV head, and its error for each
 *            window without a tail. Windows are chosen under the budget.
 *   trial    fits features at these windows, each layer on what the approximated layers below
 *            produce; measures every window with tails of several sizes. Windows and sizes are
 *            chosen together.
 *   fit      fits features at the windows and sizes chosen.
 * There is no trial without a budget or if all heads have the same features. Without a fit there
 * is only the survey. A fitted tail decays (`forget` in attention_options.h) over three quarters
 * of the longest text.
 */
#ifndef PF_CALIBRATION_H
#define PF_CALIBRATION_H

#include "feature_fit.h"
#include "recall_heads.h"

/* What the state is spent on where a text asks for something said long before (recall_heads.h). */
typedef enum pf_keep_kind {
    /* The state never grows: recall heads get one long window, as the budget allows. */
    PF_KEEP_CONSTANT,
    /* Recall heads stay exact over the whole text, so their part of the state grows with it. */
    PF_KEEP_RECALL,
} pf_keep_kind;

typedef struct pf_calibration_options {
    size_t window, features; /* means over all KV heads, default 64 each; features 0: no tails */
    size_t sinks;            /* default 4 */
    uint64_t state_bytes; /* the budget; 0: as much as `window` and `features` in all heads take */
    bool budget;          /* false: the same window and features for all heads */
    /* Tokens of the text for which the budget counts exact heads; default 8192. */
    size_t budget_tokens;
    pf_kv_kind kv; /* the type of keys and values for which the budget counts slots */
    pf_keep_kind keep;
    /* PF_KEEP_RECALL: nats per token that answers may lose; default 0.05. 0: as many heads as
     * state_bytes has room for are exact, at most a quarter of all. */
    double recall_loss;
    const pf_recall_text *recall; /* [n_recall] texts that ask; none: recall is not looked at */
    size_t n_recall;
    bool same_features; /* only windows differ between heads; all have `features` */
    bool fit;           /* false: closed form only, map favor++ */
    /* For the fits; seed and n_threads also for the rest. `stop` is called between layers too;
     * once it returns true, the calibration ends with an error, at most a step of a fit later. */
    pf_fit_options steps;
    /* Called now and then with the fraction done. Returning false ends the calibration with an
     * error. May be NULL. */
    bool (*progress)(void *context, double done);
    void *context;
} pf_calibration_options;

pf_calibration_options pf_calibration_options_default(void);

/* One KV head, for the report. An error is the mean of |error of the head's output after W_o|^2
 * divided by |residual stream|^2. */
typedef struct pf_calibrated_head {
    size_t window, features;
    double Z_before, Z_after;               /* closed form, see closed_form.h */
    double variance_before, variance_after; /* logarithms */
    double outside;                         /* share of attention outside sinks and window */
    double error_same;                      /* with the mean window, without a tail */
    double error_window;                    /* with its own window, without a tail */
    double error_fitted;                    /* with its own window and features */
} pf_calibrated_head;

typedef struct pf_calibrated_layer {
    pf_favor_weights favor;            /* pointers into the calibration */
    double error_window, error_fitted; /* of the attention output, relative to the exact one */
} pf_calibrated_layer;

/* What a preset comes to, as far as is known before features are fitted. */
typedef struct pf_calibrated_preset {
    uint32_t window;  /* of the recall heads; PF_WINDOW_ALL if exact */
    double nats;      /* divergence from softmax expected on the calibration texts, windows alone */
    size_t constant;  /* bytes of state */
    size_t per_token; /* bytes that each token adds */
} pf_calibrated_preset;

typedef struct pf_calibrated_recall {
    size_t n_heads;
    uint32_t *heads; /* [n_heads] layer * n_kv_heads + KV head, the most important first */
    /* Mean loss of the answers, nats per token: exactly; with all heads limited to their windows;
     * with the recall heads free of limits. */
    double exact, limited, reached;
    pf_calibrated_preset presets[2]; /* by pf_keep_kind */
} pf_calibrated_recall;

typedef struct pf_calibration {
    uint32_t n_layers, n_kv_heads;
    pf_attention_options attention; /* to run the model with */
    bool tail_rope;
    bool per_head;               /* windows and features differ between heads */
    uint32_t *windows;           /* [n_layers, n_kv_heads] */
    uint32_t *head_features;     /* [n_layers, n_kv_heads] */
    pf_calibrated_layer *layers; /* [n_layers] */
    pf_calibrated_head *heads;   /* [n_layers, n_kv_heads] */
    pf_calibrated_recall recall; /* n_heads 0: there are none, or they were not looked for */
    double nats;                 /* divergence expected of the windows and features chosen */
    double seconds[3];           /* taken by survey, trial and fit */
    float **blocks;              /* [n_blocks] memory that the layers point into */
    size_t n_blocks;
} pf_calibration;

/* Texts should be several times as long as the window. NULL with a message if the options do not
 * fit the model or memory runs out. */
pf_calibration *pf_calibrate(const pf_model *model, const pf_text_ids *texts, size_t n_texts,
                             const pf_calibration_options *options, pf_error *error);
void pf_calibration_free(pf_calibration *calibration); /* NULL is allowed */

#endif
