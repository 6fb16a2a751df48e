/* floor 5.6 - row error: how far attention weights are from softmax's, over many draws. */
#ifndef ROW_ERROR_H
#define ROW_ERROR_H

#include "explain_run.h"

/* The distance of a row is half the sum of |w - softmax| over the last token's weights: 0 for equal
 * rows, 1 for rows that attend to disjoint sets of tokens. */
typedef struct row_error {
    size_t draws;
    double mean, standard_error; /* of the distance; the error of a single draw is 0 */
    double least;                /* the smallest weight seen; can be negative under signed maps */
} row_error;

/* Measures the run's row in a session with these options; with draws > 1 the features are redrawn
 * for each. Writes the last row seen to weights [T], unless it is NULL. */
bool row_error_measure(const explain_run *run, const pf_attention_options *attention, size_t draws,
                       row_error *result, float *weights, pf_error *error);

/* The run's favor options without window and sinks: Performer attention alone. */
pf_attention_options row_error_pure(const explain_run *run);

/* The distance between weights [T] and the run's softmax row. */
double row_distance(const explain_run *run, const float *weights);

#endif
