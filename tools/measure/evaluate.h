/* floor 5.4 - evaluate: -log p of every token of the texts, in one session. */
#ifndef EVALUATE_H
#define EVALUATE_H

#include "file.h"
#include "input.h"
#include "session.h"

typedef struct evaluation_options {
    int n_threads;
    size_t chunk;      /* tokens read together; 0: chosen automatically */
    size_t bucket;     /* positions per bucket; 0: none */
    pf_writer *logits; /* receives float32 [tokens, V]; NULL: not written */
    void (*progress)(void *context, size_t tokens_done); /* may be NULL */
    void *context;
} evaluation_options;

typedef struct evaluation_bucket {
    double nll; /* sum of -log p, nats */
    size_t predicted;
} evaluation_bucket;

typedef struct evaluation {
    size_t tokens; /* tokens read */
    evaluation_bucket total;
    evaluation_bucket *buckets; /* [n_buckets]: positions [i * bucket, (i + 1) * bucket) */
    size_t n_buckets, bucket;
    bool interrupted; /* by Ctrl-C; the rest holds what was read up to then */
} evaluation;

/* Resets the session before each text. The first token of a text is not predicted. Needs memory for
 * the logits of one chunk, not of a whole text. Fails if logits are not finite; free the evaluation
 * in either case. */
bool evaluate(pf_session *session, const input_texts *texts, const evaluation_options *settings,
              evaluation *result, pf_error *error);
void evaluation_free(evaluation *result);

/* log p[target] of softmax(logits [n]), in double. */
double log_probability(const float *logits, size_t n, int32_t target);

#endif
