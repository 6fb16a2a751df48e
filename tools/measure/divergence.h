/* floor 5.0 - divergence: how far one prediction is from another, at one position of a text. */
#ifndef DIVERGENCE_H
#define DIVERGENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOP_TOKENS = 5 };

/* A summary of the distribution softmax(logits [n]). */
typedef struct prediction {
    double log_sum;           /* log sum exp(logits) */
    int32_t best[TOP_TOKENS]; /* the most probable tokens, lowest id first among equals; -1: none */
    double weight_sum;        /* of the weights below */
} prediction;

/* weights [n] (may be NULL) becomes exp(logits - max): what diverge() averages over. */
prediction predict(const float *logits, size_t n, float *weights);

typedef struct divergence {
    double kl;  /* KL(p || q) = sum p (log p - log q), nats */
    double nll; /* -log q[next], nats */
    bool top1;  /* the most probable token agrees */
    int top5;   /* how many of p's TOP_TOKENS are among q's */
} divergence;

/* p: the reference with its logits and weights; q: the other. */
divergence diverge(const prediction *p, const float *p_logits, const float *weights,
                   const prediction *q, const float *q_logits, size_t n, int32_t next);

/* Sorts values [n >= 1] in place, ascending. */
void sort_values(double *values, size_t n);
/* The value below which a share (0 to 1) of sorted [n >= 1] lies, linearly interpolated. */
double quantile(const double *sorted, size_t n, double share);

#endif
