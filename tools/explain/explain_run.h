/* floor 5.5 - walk: one text through one model, and all that `explain` shows of one of its heads.
 *
 * Two sessions read the text, one under softmax, one under Performer attention; the one that the walk
 * follows (`leads`) is tapped. Its queries, keys and values at the chosen layer are then given to the
 * layer's attention of both sessions, so that what stands side by side differs in nothing else.
 */
#ifndef WALK_H
#define WALK_H

#include "divergence.h"
#include "head_trace.h"
#include "load.h"

typedef struct walk_settings {
    uint32_t layer, head;
    pf_session_options softmax, favor;
    bool favor_leads; /* which of the two the walk follows to the logits */
} walk_settings;

/* One of the two attentions. */
typedef struct walk_side {
    pf_session *session;
    head_trace trace;
    float *weights;   /* [T] what the last token gives to each token */
    const float *out; /* [D] what it reads; points into trace */
    float *logits;    /* [V] after the last token, from a session of this attention alone */
    prediction next;  /* what it expects to come next */
    uint64_t bad_denominators; /* of the whole model over the whole text */
} walk_side;

enum { WALK_MAX_TOKENS = 512 };

typedef struct walk {
    walk_settings settings;
    const pf_loaded *loaded;
    const pf_model *model;
    const int32_t *ids; /* [T] */
    size_t T, last;     /* last = T - 1: the token that the walk follows */
    walk_side softmax, favor;
    const walk_side *leads;

    /* of the leading session: the last token's rows ... */
    float *embedding, *attention_norm, *attention_output, *attention_residual, *mlp_output,
        *layer_output, *final_norm; /* [C] each */
    double *lengths;                /* [L + 1] |x|: before the layers, and behind each */
    /* ... and all rows of the layer */
    float *q, *k, *v, *heads; /* [T, H * D], [T, n_kv_heads * D] x 2, [T, H * D] */
    double kl;                /* KL(softmax || favor) of the two sessions' predictions, nats */
    float *memory;
} walk;

/* Reads ids [T]; the loaded model and ids must outlive the walk. False with a sentence that says what
 * to do (layer and head out of range, a text of one token, ...). Free in either case. */
bool walk_new(walk *w, const pf_loaded *loaded, const int32_t *ids, size_t T,
              const walk_settings *settings, pf_error *error);
void walk_free(walk *w);

/* Rows of the last token at the walk's layer and head, [D]: before RoPE. */
const float *walk_q(const walk *w);
const float *walk_k(const walk *w);
const float *walk_v(const walk *w);

/* n of the text's positions worth showing, ascending: those with the largest softmax weights, the first
 * and the last; to shown [T], returns how many. */
size_t walk_choose(const walk *w, size_t n, size_t *shown);

/* Everything as JSON; NULL without memory. */
struct json_t *walk_json(const walk *w);

#endif
