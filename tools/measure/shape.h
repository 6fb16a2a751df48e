/* floor 5.4 - shape: a model of a given shape with random weights, to measure without a file. */
#ifndef SHAPE_H
#define SHAPE_H

#include "error.h"
#include "model.h"

typedef struct shape {
    uint32_t width, n_layers, n_heads, hidden, n_vocab;
    bool gpt2; /* LayerNorm, learned positions, GELU and biases; otherwise llama */
} shape;

/* Parses "15M", "110M", "gpt2" or DIMxLAYERSxHEADSxHIDDENxVOCAB. */
bool shape_parse(const char *text, shape *parsed, pf_error *error);

/* Weights have variance 1 / columns, as at the start of training, so that activations stay
 * moderate: uniform values, or for types that nothing here quantises to (Q4_1, Q5_0, Q5_1, Q2_K to
 * Q6_K) random blocks. Norms are 1, biases 0, and the output matrix is tied to the embedding. NULL
 * with a message if rows do not fill whole blocks of `type` or memory runs out. */
typedef struct random_model random_model;
random_model *random_model_new(const shape *wanted, pf_type type, uint32_t context, int n_threads,
                               pf_error *error);
const pf_model *random_model_get(const random_model *random);
void random_model_free(random_model *random); /* NULL is allowed */

#endif
