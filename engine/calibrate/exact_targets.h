/* floor 2.5 - exact targets: exact attention of one layer's heads, over all calibration texts.
 *
 * For every row (a token of a text) and query head: the output of softmax attention, which an
 * approximation should reproduce, and the partial softmax over sinks and window, which stays
 * exact. One walk over the keys gives the partial softmax for any number of windows, because each
 * window is the next smaller one plus a band of keys.
 */
#ifndef PF_EXACT_TARGETS_H
#define PF_EXACT_TARGETS_H

#include "partial_softmax.h"
#include "layerwise.h"

/* The rows on which windows are compared: a few of each text, evenly spaced. */
typedef struct pf_measured_rows {
    size_t n_windows;      /* 0: nothing is measured */
    const size_t *windows; /* [n_windows] ascending */
    size_t n_texts;        /* of the first n_texts texts */
    size_t per_text;       /* at most so many rows of each */
} pf_measured_rows;

typedef struct pf_exact_targets {
    const pf_layerwise *w;
    size_t H, KV, G, D; /* query heads, KV heads, H / KV, head dim */
    size_t sinks;
    size_t pairs;       /* that RoPE rotates; 0: none */
    float *angles;      /* [longest, 2 pairs] */
    float *target;      /* [n_rows, H D] exact attention */
    size_t *windows;    /* [KV] the windows of `part`; set them before each walk */
    pf_partial part;    /* out [n_rows, H D], den and log_scale [n_rows, H] */
    double *outside;    /* [KV] mean share of attention outside sinks and window */
    double *outside_of; /* [texts, KV] its sum over one text's rows */
    pf_measured_rows measure;
    size_t n_measured;      /* rows */
    size_t *measured_row;   /* [n_measured] their indices among all rows, ascending */
    size_t *measured_first; /* [measure.n_texts + 1] where each text's measured rows begin */
    pf_partial *measured;   /* [n_windows] out [n_measured, H D], den, log_scale [n_measured, H] */
    int n_threads;
    float *scratch; /* [n_threads, scratch_floats] */
    size_t scratch_floats;
    float *memory; /* of target, part and measured */
} pf_exact_targets;

pf_exact_targets *pf_exact_targets_new(const pf_layerwise *w, size_t sinks,
                                       const pf_measured_rows *measure, int n_threads,
                                       pf_error *error);
void pf_exact_targets_free(pf_exact_targets *targets); /* NULL is allowed */

/* Computes target, part, outside and measured from a layer's w->q, w->k and w->v. */
void pf_exact_targets_walk(pf_exact_targets *targets);

/* The n rows of a text times `scale`, of one query head or of one KV head's keys: out [n, D].
 * rotated: after RoPE, otherwise before. */
void pf_exact_targets_queries(const pf_exact_targets *targets, size_t text, size_t head,
                              bool rotated, float scale, float *out);
void pf_exact_targets_keys(const pf_exact_targets *targets, size_t text, size_t head, bool rotated,
                           float scale, float *out);

#endif
