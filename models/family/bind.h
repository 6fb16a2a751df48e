/* floor 4.0 - bind: tensors by name, with type and shape verified -> views that a model can use.
 *
 *   pf_binder binder;
 *   if (!pf_binder_init(&binder, checkpoint, error)) ...
 *   pf_bind_matrix(&binder, "blk.0.attn_q.weight", rows, cols, &layer->q.weight, error) && ...
 *   pf_bind_nothing_left(&binder, error)       // a tensor that nobody asked for would be missed
 *   pf_binder_free(&binder);
 *
 * What is bound lives as long as the checkpoint. Messages name the tensor, the shape that was expected
 * and the one that was found, both in GGUF's order (the contiguous axis first), but not the file.
 */
#ifndef PF_BIND_H
#define PF_BIND_H

#include "checkpoint.h"

typedef struct pf_binder {
    pf_checkpoint *checkpoint;
    const pf_tensor **bound; /* [n_bound] tensors handed out so far, in order; private */
    size_t n_bound;
    bool check_only; /* a look before a conversion: matrices are verified, but not made */
} pf_binder;

bool pf_binder_init(pf_binder *binder, pf_checkpoint *checkpoint, pf_error *error);
void pf_binder_free(pf_binder *binder); /* a zeroed one is allowed */

/* The tensor of that name, or NULL; asking binds nothing. */
const pf_tensor *pf_bind_find(const pf_binder *binder, const char *name);

/* The matrix [rows, cols] in the type that the file has. */
bool pf_bind_matrix(pf_binder *binder, const char *name, size_t rows, size_t cols,
                    pf_matrix *matrix, pf_error *error);

/* Numbers of any shape (n_dims of them, GGUF's order) as float32: borrowed if the file has them so and
 * aligned, else converted into memory of the checkpoint. */
bool pf_bind_floats(pf_binder *binder, const char *name, uint32_t n_dims, const uint64_t *shape,
                    const float **values, pf_error *error);
bool pf_bind_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                    pf_error *error);
/* *values = NULL if there is no such tensor. */
bool pf_bind_optional_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                             pf_error *error);

/* Fails, naming one, if the checkpoint has tensors that were not bound. */
bool pf_bind_nothing_left(pf_binder *binder, pf_error *error);

#endif
