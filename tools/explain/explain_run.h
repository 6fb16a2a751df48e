/* floor 5.5 - explain run: one text through one model, and what `explain` shows of one head.
 *
 * Two sessions read the text, one under softmax and one under Performer attention. The one that
 * explain follows to the logits (`leads`) is tapped. Its queries, keys and values at the chosen
 * layer are then fed to that layer's attention in both sessions, so that the two outputs shown side
 * by side differ only by the kind of attention.
 */
#ifndef EXPLAIN_RUN_H
#define EXPLAIN_RUN_H

#include "divergence.h"
#include "head_trace.h"
#include "load.h"

typedef struct explain_settings {
    uint32_t layer, head;
    pf_session_options softmax, favor;
    bool favor_leads; /* which of the two is followed to the logits */
} explain_settings;

/* One of the two attentions. */
typedef struct explain_side {
    pf_session *session;
    head_trace trace;
    float *weights;   /* [T] the last token's attention weights */
    const float *out; /* [D] the output of the last token; points into trace */
    float *logits;    /* [V] after the last token, from a session of this attention alone */
    prediction next;  /* of the next token */
    uint64_t bad_denominators; /* over the whole model and text */
} explain_side;

enum { EXPLAIN_MAX_TOKENS = 512 };

typedef struct explain_run {
    explain_settings settings;
    const pf_loaded *loaded;
    const pf_model *model;
    const int32_t *ids; /* [T] */
    size_t T, last;     /* last = T - 1: the token that is followed */
    explain_side softmax, favor;
    const explain_side *leads;

    /* From the leading session: the last token's rows ... */
    float *embedding, *attention_norm, *attention_output, *attention_residual, *mlp_output,
        *layer_output, *final_norm; /* [C] each */
    double *lengths;                /* [L + 1] |x| before the first layer and after each */
    /* ... and all rows of the chosen layer. */
    float *q, *k, *v, *heads; /* [T, H * D], [T, n_kv_heads * D] x 2, [T, H * D] */
    double kl;                /* KL(softmax || favor) of the two sessions' predictions, nats */
    float *memory;
} explain_run;

/* Runs ids [T] through the model; `loaded` and ids must outlive the run. Returns false with a
 * message if layer or head is out of range, the text is too short or too long, or memory runs out.
 * Free it in either case. */
bool explain_run_new(explain_run *run, const pf_loaded *loaded, const int32_t *ids, size_t T,
                     const explain_settings *settings, pf_error *error);
void explain_run_free(explain_run *run);

/* Rows [D] of the last token at the chosen layer and head, before RoPE. */
const float *explain_run_q(const explain_run *run);
const float *explain_run_k(const explain_run *run);
const float *explain_run_v(const explain_run *run);

/* Writes up to n positions worth showing to shown [T], in ascending order: the first, the last, and
 * those with the largest softmax weights. Returns how many. */
size_t explain_run_choose(const explain_run *run, size_t n, size_t *shown);

/* Everything as JSON; NULL if memory runs out. */
struct json_t *explain_run_json(const explain_run *run);

#endif
