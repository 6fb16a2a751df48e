/* floor 2.0 - pf_session: one text being computed. All that changes lives here.
 *
 *   pf_session_options options = pf_session_options_default(model);
 *   options.attention.kind = PF_ATTENTION_FAVOR;
 *   pf_session *session = pf_session_new(model, &options, &error);
 *   pf_session_append(session, prompt, n, logits, 1, &error);          // prefill
 *   for (;;) { id = pf_sampler_next(...); pf_session_append(session, &id, 1, logits, 1, &error); }
 *   pf_session_free(session);
 *
 * Any number of sessions may share a model, each used by one thread at a time. append(1 token)
 * allocates nothing, unless heads are exact over the whole text: then memory for 256 tokens at a
 * time.
 */
#ifndef PF_SESSION_H
#define PF_SESSION_H

#include "error.h"
#include "model.h"

typedef struct pf_session_options {
    pf_attention_options attention;
    /* Tokens that a text may have: the size of softmax's KV cache. favor and local have no such
     * limit with rotary (or no) positions; for them it only says how far away a sink may seem, if
     * that is more than the trained context. */
    size_t context;
    int n_threads; /* >= 1 */
    /* Weights times tokens from which on all threads work; with less, barriers cost more than
     * threads save. 0: always. Results do not depend on it. */
    size_t team_work;
    size_t chunk; /* tokens that a prefill computes together, >= 1 */
    /* Quantised weights against float32 activations: slower, the reference. */
    bool float_activations;
} pf_session_options;

/* The checkpoint's attention and context, one thread per physical core (where the work is worth
 * it), chunk 256. */
pf_session_options pf_session_options_default(const pf_model *model);

typedef struct pf_session pf_session;

/* NULL with a message if the options do not fit the model or memory does not suffice.
 * The model must outlive the session. */
pf_session *pf_session_new(const pf_model *model, const pf_session_options *options,
                           pf_error *error);
void pf_session_free(pf_session *session); /* NULL is allowed */

/* Reads n tokens (ids < V) after those already read. Writes the logits after the last n_logits of
 * them (0 <= n_logits <= n) to logits [n_logits, V], unnormalised; logits may be NULL if n_logits
 * is 0. On failure (id out of range, context full) nothing is read and the session stays usable.
 *
 * One failure can come midway: with options.attention.redraw every N tokens, keys and values of
 * the whole text are kept, and memory for them can run out. The chunks before have then been read,
 * wholly, and their logits written; pf_session_position tells how many tokens that is, and the
 * session can go on from there, be saved, or be reset. */
bool pf_session_append(pf_session *session, const int32_t *tokens, size_t n, float *logits,
                       size_t n_logits, pf_error *error);

/* Back to the empty text. With PF_REDRAW_SEQUENCE every layer draws new features. */
void pf_session_reset(pf_session *session);

/* An independent copy that has read the same text. NULL without memory. */
pf_session *pf_session_clone(const pf_session *session, pf_error *error);

size_t pf_session_position(const pf_session *session); /* tokens read so far */
/* Tokens the session can still hold, SIZE_MAX where there is no limit. */
size_t pf_session_room(const pf_session *session);
const pf_session_options *pf_session_get_options(const pf_session *session);
const pf_model *pf_session_model(const pf_session *session);

/* Bytes of state kept for the text read so far: sums, normalisers, maxima, sinks and windows, or
 * the KV cache; and the keys and values that a redraw in mid-text needs. Counts what is allocated,
 * except that of exact heads (PF_WINDOW_ALL), whose caches grow, it counts the part in use. */
size_t pf_session_state_bytes(const pf_session *session);
/* The same for a text of options.context tokens, without making a session; and by how much each
 * token of it adds to that (0 without exact heads). */
size_t pf_state_bytes(const pf_model *model, const pf_session_options *options);
size_t pf_state_bytes_per_token(const pf_model *model, const pf_session_options *options);

typedef struct pf_session_stats {
    uint64_t bad_denominators; /* rows whose denominator was not positive (attention.h says what
                                  happens to them), summed over layers and heads */
    uint64_t redraws;          /* how often a layer drew new features in mid-text */
} pf_session_stats;
pf_session_stats pf_session_get_stats(const pf_session *session);

/* Taps, for `compare`, `explain` and `calibrate`: a function that sees the rows between the steps
 * of a layer. It is called by member 0 of the team while the others wait. `rows` is valid during
 * the call. */
typedef enum pf_tap_point {
    PF_TAP_EMBEDDING,      /* [T, C] residual stream before the first layer */
    PF_TAP_ATTENTION_NORM, /* [T, C] what q, k and v are computed from */
    PF_TAP_Q,
    PF_TAP_K,
    PF_TAP_V,                /* [T, H * D], [T, n_kv_heads * D] x 2: before RoPE, after q/k norm */
    PF_TAP_ATTENTION_HEADS,  /* [T, H * D] attention output before its matrix */
    PF_TAP_ATTENTION_OUTPUT, /* [T, C] after it, before it is added */
    PF_TAP_ATTENTION_RESIDUAL, /* [T, C] the residual stream after attention */
    PF_TAP_MLP_OUTPUT,         /* [T, C] before it is added */
    PF_TAP_LAYER,              /* [T, C] the residual stream after the layer */
    PF_TAP_FINAL_NORM,         /* [n_logits, C] what the logits are computed from */
} pf_tap_point;
typedef void (*pf_tap)(void *context, pf_tap_point point, uint32_t layer, size_t first_position,
                       const float *rows, size_t n_rows, size_t n_cols);
void pf_session_set_tap(pf_session *session, pf_tap tap, void *context); /* NULL: none */

#endif
