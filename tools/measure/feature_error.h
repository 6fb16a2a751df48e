/* floor 5.5 - feature error: how the error of random features falls with their number. */
#ifndef FEATURE_ERROR_H
#define FEATURE_ERROR_H

#include "qkv_rows.h"

enum { FEATURE_SIZES = 7, FEATURE_LAYERS = 3 };

typedef struct feature_error {
    double sizes[FEATURE_SIZES]; /* M */
    /* Relative error of a layer's attention output (all heads, before the output matrix) on the
     * softmax session's queries, keys and values; root mean square over draws. */
    uint32_t layers[FEATURE_LAYERS];
    size_t n_layers;
    double output[FEATURE_LAYERS][FEATURE_SIZES];
    /* Relative error of single estimates of exp(x.y) by the positive map with independent
     * projections, for the pairs of one head with the smallest Z: measured over draws, and as
     * predicted by the variance, sqrt(mean (e^Z - 1) / M). */
    uint32_t layer, head;
    double z; /* mean over these pairs */
    size_t n_pairs;
    double measured[FEATURE_SIZES], predicted[FEATURE_SIZES];
} feature_error;

/* softmax, favor: options of the two sessions. The number of features in favor is varied. */
bool feature_error_measure(feature_error *e, const qkv_rows *rows,
                           const pf_session_options *softmax, const pf_session_options *favor,
                           pf_error *error);

#endif
