/* floor 2.1 - session state: what a session is made of; private to engine/. */
#ifndef PF_SESSION_STATE_H
#define PF_SESSION_STATE_H

#include "attention.h"
#include "matmul.h"
#include "session.h"

/* What each member of the team has to itself. */
typedef struct pf_workspace {
    pf_matmul_scratch matmul;
    float *normed; /* [C] norm of a single token, which every member computes itself */
    float *memory; /* all of the above */
} pf_workspace;

struct pf_session {
    const pf_model *model;
    pf_session_options options;
    pf_attention *attention;
    size_t position;  /* tokens read */
    uint64_t weights; /* that each token is multiplied by: the work that a team shares */
    size_t chunk;     /* most tokens at a time: rows of the activations below */

    /* activations of one chunk */
    float *x;                 /* [chunk, C] the residual stream */
    float *normed;            /* [chunk, C] */
    float *q, *heads;         /* [chunk, H * D] queries; output of attention */
    float *k, *v;             /* [chunk, n_kv_heads * D] */
    float *gate, *up;         /* [chunk, F] */
    float *delta;             /* [chunk, C] what a block adds to the residual stream */
    float *activations;       /* the memory of all these */
    pf_workspace *workspaces; /* [n_threads] */
    pf_team *team;            /* n_threads members, or as many as the system allows */

    /* the chunk being computed */
    const int32_t *tokens; /* [n] */
    size_t n, n_logits;
    float *logits; /* [n_logits, V] */

    pf_tap tap;
    void *tap_context;
};

#endif
