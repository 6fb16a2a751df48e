/* floor 2.5 - layer heads: what the heads of one layer see exactly, over all texts of a calibration.
 *
 * For every row (token of a text) and query head: the exact output of softmax attention, which an
 * approximation is to reproduce, and the exact part (sinks and window) of a hybrid row. One walk over
 * the keys gives the parts for any number of windows, since a window's part is that of the next smaller
 * one plus a band of keys.
 */
#ifndef PF_EXACT_TARGETS_H
#define PF_EXACT_TARGETS_H

#include "partial_softmax.h"
#include "layerwise.h"

/* Rows on which many windows are compared: a few of each text, evenly spaced. */
typedef struct pf_measured_rows {
    size_t n_windows;      /* 0: nothing is measured */
    const size_t *windows; /* rising */
    size_t n_texts;        /* the first so many texts */
    size_t per_text;       /* rows of each at most */
} pf_measured_rows;

typedef struct pf_exact_targets {
    const pf_layerwise *w;
    size_t H, KV, G, D; /* query heads, KV heads, H / KV, head dim */
    size_t sinks;
    size_t pairs;       /* of RoPE */
    float *angles;      /* [longest, 2 pairs] */
    float *target;      /* [n_rows, H D] exact attention */
    size_t *windows;    /* [KV] the windows that `part` is for */
    pf_partial part;    /* out [n_rows, H D], den and scale [n_rows, H] */
    double *outside;    /* [KV] mean share of attention that is in neither sinks nor window */
    double *outside_of; /* [texts, KV] the same, summed over one text's rows */
    pf_measured_rows measure;
    size_t n_measured;      /* rows */
    size_t *measured_row;   /* [n_measured] their numbers among all rows, rising */
    size_t *measured_first; /* [measure.n_texts + 1] */
    pf_partial *measured;   /* [n_windows] out [n_measured, H D], den and scale [n_measured, H] */
    int n_threads;
    float *scratch; /* per thread */
    size_t scratch_floats;
    float *memory;
} pf_exact_targets;

pf_exact_targets *pf_exact_targets_new(const pf_layerwise *w, size_t sinks,
                                       const pf_measured_rows *measure, int n_threads,
                                       pf_error *error);
void pf_exact_targets_free(pf_exact_targets *targets); /* NULL is allowed */

/* From w->q, k, v of a layer: target, part at targets->windows, outside, and `measured`. */
void pf_exact_targets_walk(pf_exact_targets *targets);

/* All n rows of a text: of one query head (of KV head `head` / G), or of one KV head's keys, rotated to
 * their positions, scaled: out [n, D]. rotated false: as they are before RoPE. */
void pf_exact_targets_queries(const pf_exact_targets *targets, size_t text, size_t head,
                              bool rotated, float scale, float *out);
void pf_exact_targets_keys(const pf_exact_targets *targets, size_t text, size_t head, bool rotated,
                           float scale, float *out);

#endif
