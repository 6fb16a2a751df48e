/* floor 2.2 - session state: what a session is made of; private to session.c and forward.c. */
#ifndef PF_SESSION_STATE_H
#define PF_SESSION_STATE_H

#include "attention.h"
#include "matmul.h"
#include "session.h"

/* What each member of the team has for itself. */
typedef struct pf_workspace {
    pf_matmul_scratch matmul;
    float *normed; /* [C] the norm of a single token, computed by every member for itself */
    float *memory; /* all of the above */
} pf_workspace;

struct pf_session {
    const pf_model *model;
    pf_session_options options;
    pf_favor_weights *favor; /* [n_layers] what attention reads of the layers */
    pf_attention *attention;
    size_t position;  /* tokens read */
    uint64_t weights; /* that a token meets: what a team has to share out */
    size_t chunk;     /* most tokens at a time: rows of the activations below */

    /* activations of one chunk */
    float *x;                 /* [chunk, C] the residual stream */
    float *normed;            /* [chunk, C] */
    float *q, *heads;         /* [chunk, H * D] queries; what attention gives back */
    float *k, *v;             /* [chunk, n_kv_heads * D] */
    float *gate, *up;         /* [chunk, F] */
    float *delta;             /* [chunk, C] what a block adds to the residual stream */
    float *activations;       /* the memory of all of them */
    pf_workspace *workspaces; /* [n_threads] */
    pf_team *team;            /* n_threads members, or as many as there could be */

    /* the chunk being computed */
    const int32_t *tokens; /* [n] */
    size_t n, n_logits;
    float *logits; /* [n_logits, V] */

    pf_tap tap;
    void *tap_context;
};

#endif
