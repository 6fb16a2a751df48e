/* floor 1.15 - attention, inside: what pf_attention is made of; private to attention*.c. */
#ifndef PF_ATTENTION_PRIVATE_H
#define PF_ATTENTION_PRIVATE_H

#include "attention.h"

struct pf_attention {
    pf_attention_config config;
    pf_attention_config *layers; /* [L] the same for each layer: pf_attention_config_of_layer */
    pf_head *heads;              /* [L, n_kv_heads] */
    pf_favor_state *tails;       /* of all heads */
    float *state;                /* all that is kept of a text, except histories */
    size_t state_floats;
    size_t token_bytes; /* by which the pool's part in use grows with every token */
    pf_kv_pool pool;    /* keys and values of exact heads */
    double *frequency;  /* [angle sets, pairs] */
    float *angles, *sink_angles;
    int n_members;
    pf_head_scratch *scratch; /* [n_members] */
    float *scratch_memory;
    float *parts;         /* of shared heads */
    double *draw_scratch; /* [n_members, D, D] */
    uint32_t draw;        /* texts drawn for so far */
    uint32_t *draws;      /* [L, n_kv_heads] which draw a head's features are of */
    uint64_t *redraws;    /* [n_members], a cache line each */
};

#endif
