/* floor 5.4 - head trace: one head's attention over a text, token by token, as the engine computes it.
 *
 * Filled by pf_attention_observe: queries and keys are turned by the head's own angles, mapped by its
 * own features; S, z and c are the head's own sums. Nothing here computes attention by itself.
 */
#ifndef HEAD_TRACE_H
#define HEAD_TRACE_H

#include "attention_weights.h"

/* T tokens, D dims, M features; M is 0 where the head has no tail (softmax, local). */
typedef struct head_trace {
    size_t T, D, M, window, sinks;
    pf_map_kind map;
    bool tail_rope;           /* the features read turned queries and keys, not plain ones */
    float *q, *k;             /* [T, D] turned by RoPE */
    float *scores;            /* [T, T] q.k scale of every pair, up to the diagonal */
    float *phi_q, *phi_k;     /* [T, M] ... */
    float *q_scale, *k_scale; /* [T] ... times exp(scale) */
    float *top;               /* [T] c after each token; -INFINITY while the tail is empty */
    float *den;      /* [T] phi(q_t).z_t exp(-q_scale - c): a row's denominator in the tail */
    float *tail_out; /* [D] phi(q) S / phi(q).z of the last token */
    float *S, *z;    /* [M, D], [M] after the last token, times exp(c) */
    float *exact_den, *exact_scale; /* [T] the denominator of softmax: exact_den exp(exact_scale) */
    float *out;                     /* [T, H * D] of the whole layer */
    float *memory;                  /* all of them */
} head_trace;

/* Replays q [T, H * D], k, v [T, n_kv_heads * D] of a layer in `session` and watches one query head.
 * False without memory or if the text does not fit. Free in either case. */
bool head_trace_new(head_trace *trace, pf_session *session, uint32_t layer, uint32_t head,
                    const float *q, const float *k, const float *v, size_t T, pf_error *error);
void head_trace_free(head_trace *trace);

/* log |phi(q_t).phi(k_j)|, and the sign: -1, 0 (then the log is -INFINITY) or 1. */
double head_trace_estimate(const head_trace *trace, size_t t, size_t j, int *sign);
/* |x + y|^2 of query t and key j, x = q sqrt(scale): what the variance of FAVOR+ grows with. */
double head_trace_z(const head_trace *trace, float scale, size_t t, size_t j);

#endif
