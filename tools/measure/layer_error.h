/* floor 5.4 - layer error: how far a session's layers are from a reference's, measured by taps. */
#ifndef LAYER_ERROR_H
#define LAYER_ERROR_H

#include "session.h"

/* Sums of squares over all tokens seen; an error is sqrt(difference / reference). */
typedef struct layer_error {
    /* of the attention output, before it is added to the residual stream */
    double attention_difference, attention_reference;
    /* of the residual stream after the layer */
    double residual_difference, residual_reference;
} layer_error;
double relative_error(double difference, double reference);

/* The reference's rows of the chunk that the other sessions read next. */
typedef struct layer_rows {
    size_t n_layers, width, capacity; /* L, C, most tokens */
    size_t first;                     /* position of the first token */
    float *attention, *residual;      /* [L, capacity, C] */
} layer_rows;
bool layer_rows_new(layer_rows *rows, const pf_model *model, size_t capacity, pf_error *error);
void layer_rows_free(layer_rows *rows);

/* Z of every head: the mean of |x + y|^2 over all pairs of a query and a key that it sees (its own
 * and those before it). x = q sqrt(s) and y = k sqrt(s) after RoPE, with the attention scale s. The
 * variance of FAVOR+ grows with exp(Z). Computed from running sums:
 * sum_j |x + y_j|^2 = n |x|^2 + 2 x.sum_j y_j + sum_j |y_j|^2. */
typedef struct head_z {
    const pf_model *model;
    size_t context;            /* of the session that is watched */
    double *frequency;         /* [pairs] of RoPE */
    float *angles, *q;         /* [2 pairs]; [capacity, H * D] queries, until their keys arrive */
    double *y_sum, *y_squares; /* [L, n_kv_heads, D], [L, n_kv_heads] */
    double *z_sum, *pairs;     /* [L, H], [L] */
    double *memory;
} head_z;
bool head_z_new(head_z *z, const pf_model *model, size_t context, size_t capacity, pf_error *error);
void head_z_free(head_z *z);
double head_z_get(const head_z *z, uint32_t layer, uint32_t head);

/* The context of a tap: fills rows (and z) if errors is NULL, otherwise compares with rows. */
typedef struct layer_watch {
    layer_rows *rows;
    layer_error *errors; /* [L] or NULL */
    head_z *z;           /* or NULL */
    double seconds;      /* spent in the tap, to be subtracted from the session's time */
} layer_watch;
void layer_watch_tap(void *context, pf_tap_point point, uint32_t layer, size_t first,
                     const float *rows, size_t n, size_t cols);

#endif
