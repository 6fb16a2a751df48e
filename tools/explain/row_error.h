/* floor 5.6 - row error: how far an attention's weights are from softmax's, over many draws of features. */
#ifndef ROW_ERROR_H
#define ROW_ERROR_H

#include "explain_run.h"

/* Distances are half the sum of |w - softmax| over the weights of the last token's row: 0 for the same
 * row, 1 for rows that look at different tokens. */
typedef struct row_error {
    size_t draws;
    double mean, standard_error; /* over the draws; the latter 0 for a single one */
    double least;                /* the smallest weight seen: negative under signed maps */
} row_error;

/* Measures the walk's row in a session of these options; with draws > 1 features are drawn anew before
 * each. weights [T]: the last row seen, or NULL. */
bool row_error_measure(const explain_run *run, const pf_attention_options *attention, size_t draws,
                       row_error *result, float *weights, pf_error *error);

/* The walk's favor options without window and sinks: Performer attention alone. */
pf_attention_options row_error_pure(const explain_run *run);

double row_distance(const explain_run *run, const float *weights);

#endif
