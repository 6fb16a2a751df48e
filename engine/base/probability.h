/* floor 0.0 - probability: the distribution softmax(logits), and how far one is from another. */
#ifndef PF_PROBABILITY_H
#define PF_PROBABILITY_H

#include <stddef.h>

/* p = softmax(logits [n]), n >= 1. logits and weights belong to the caller. */
typedef struct pf_softmax {
    const float *logits;
    size_t n;
    double log_sum;       /* log sum_i exp(logits_i): log p_i = logits_i - log_sum */
    const float *weights; /* exp(logits_i - max logits), or NULL */
    double weight_sum;    /* p_i = weights_i / weight_sum */
} pf_softmax;

/* Sums in double, against the largest logit, so that no exponential overflows. Fills weights [n]
 * unless it is NULL. */
pf_softmax pf_softmax_of(const float *logits, size_t n, float *weights);

/* KL(p || q) = sum_i p_i (log p_i - log q_i) in nats, >= 0. p needs its weights; q does not:
 *
 *   sum_i p_i (p.logits_i - q.logits_i) - (p.log_sum - q.log_sum)
 *
 * takes one pass without an exponential, and is exactly 0 for equal logits. */
double pf_kl_divergence(const pf_softmax *p, const pf_softmax *q);

#endif
