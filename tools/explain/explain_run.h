/* floor 5.5 - explain run: one text through one model, and all that `explain` shows of one of its heads.
 *
 * Two sessions read the text, one under softmax, one under Performer attention; the one that the walk
 * follows (`leads`) is tapped. Its queries, keys and values at the chosen layer are then given to the
 * layer's attention of both sessions, so that what stands side by side differs in nothing else.
 */
#ifndef EXPLAIN_RUN_H
#define EXPLAIN_RUN_H

#include "divergence.h"
#include "head_trace.h"
#include "load.h"

typedef struct explain_settings {
    uint32_t layer, head;
    pf_session_options softmax, favor;
    bool favor_leads; /* which of the two the walk follows to the logits */
} explain_settings;

/* One of the two attentions. */
typedef struct explain_side {
    pf_session *session;
    head_trace trace;
    float *weights;   /* [T] what the last token gives to each token */
    const float *out; /* [D] what it reads; points into trace */
    float *logits;    /* [V] after the last token, from a session of this attention alone */
    prediction next;  /* what it expects to come next */
    uint64_t bad_denominators; /* of the whole model over the whole text */
} explain_side;

enum { EXPLAIN_MAX_TOKENS = 512 };

typedef struct explain_run {
    explain_settings settings;
    const pf_loaded *loaded;
    const pf_model *model;
    const int32_t *ids; /* [T] */
    size_t T, last;     /* last = T - 1: the token that the walk follows */
    explain_side softmax, favor;
    const explain_side *leads;

    /* of the leading session: the last token's rows ... */
    float *embedding, *attention_norm, *attention_output, *attention_residual, *mlp_output,
        *layer_output, *final_norm; /* [C] each */
    double *lengths;                /* [L + 1] |x|: before the layers, and behind each */
    /* ... and all rows of the layer */
    float *q, *k, *v, *heads; /* [T, H * D], [T, n_kv_heads * D] x 2, [T, H * D] */
    double kl;                /* KL(softmax || favor) of the two sessions' predictions, nats */
    float *memory;
} explain_run;

/* Reads ids [T]; the loaded model and ids must outlive the walk. False with a sentence that says what
 * to do (layer and head out of range, a text of one token, ...). Free in either case. */
bool explain_run_new(explain_run *run, const pf_loaded *loaded, const int32_t *ids, size_t T,
                     const explain_settings *settings, pf_error *error);
void explain_run_free(explain_run *run);

/* Rows of the last token at the walk's layer and head, [D]: before RoPE. */
const float *explain_run_q(const explain_run *run);
const float *explain_run_k(const explain_run *run);
const float *explain_run_v(const explain_run *run);

/* n of the text's positions worth showing, ascending: those with the largest softmax weights, the first
 * and the last; to shown [T], returns how many. */
size_t explain_run_choose(const explain_run *run, size_t n, size_t *shown);

/* Everything as JSON; NULL without memory. */
struct json_t *explain_run_json(const explain_run *run);

#endif
