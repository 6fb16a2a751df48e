/* floor 5.4 - head trace: one head's attention, token by token, as the engine computes it.
 *
 * Filled by pf_attention_observe: queries and keys are rotated by the head's own angles and mapped
 * by its own features; S, z and c are copies of the head's own state. Nothing here reimplements
 * attention.
 */
#ifndef HEAD_TRACE_H
#define HEAD_TRACE_H

#include "attention_weights.h"

/* T tokens, D dims, M features; M is 0 where the head has no tail (softmax, local). */
typedef struct head_trace {
    size_t T, D, M, window, sinks;
    pf_map_kind map;
    bool tail_rope;           /* the features are computed after RoPE, not before */
    float *q, *k;             /* [T, D] after RoPE */
    float *scores;            /* [T, T] q.k * scale, up to the diagonal */
    float *phi_q, *phi_k;     /* [T, M]: the features are these ... */
    float *q_scale, *k_scale; /* [T]: ... times exp(q_scale), exp(k_scale) */
    float *top;               /* [T] c after each token; -INFINITY while the tail is empty */
    float *den;      /* [T] phi(q_t).z_t exp(-q_scale - c): a row's denominator in the tail */
    float *tail_out; /* [D] phi(q) S / phi(q).z of the last token */
    float *S, *z;    /* [M, D], [M] after the last token; the sums are these times exp(c) */
    float *exact_den, *exact_scale; /* [T] softmax's denominator is exact_den exp(exact_scale) */
    float *out;                     /* [T, H * D] of the whole layer */
    float *memory;                  /* the arrays above */
} head_trace;

/* Replays q [T, H * D] and k, v [T, n_kv_heads * D] of a layer in `session` and records one query
 * head. Fails if memory runs out or the text does not fit. Free it in either case. */
bool head_trace_new(head_trace *trace, pf_session *session, uint32_t layer, uint32_t head,
                    const float *q, const float *k, const float *v, size_t T, pf_error *error);
void head_trace_free(head_trace *trace);

/* log |phi(q_t).phi(k_j)|, and the sign of the product: -1, 1, or 0 with a log of -INFINITY. */
double head_trace_estimate(const head_trace *trace, size_t t, size_t j, int *sign);
/* Z = |x + y|^2 of query t and key j, where x = q sqrt(scale) and y = k sqrt(scale). The relative
 * variance of one positive feature is e^Z - 1. */
double head_trace_z(const head_trace *trace, float scale, size_t t, size_t j);

#endif
