/* floor 4.0 - bind: tensors by name, with type and shape checked -> views for a model.
 *
 *   pf_binder binder;
 *   if (!pf_binder_init(&binder, checkpoint, error)) ...
 *   pf_bind_matrix(&binder, "blk.0.attn_q.weight", rows, cols, &layer->q.weight, error) && ...
 *   pf_bind_nothing_left(&binder, error)       // a tensor left unused would change the result
 *   pf_binder_free(&binder);
 *
 * Views are valid as long as the checkpoint. Messages name the tensor, the expected shape and the
 * shape found, both in GGUF's order (the contiguous axis first), but not the file.
 */
#ifndef PF_BIND_H
#define PF_BIND_H

#include "checkpoint.h"

typedef struct pf_binder {
    pf_checkpoint *checkpoint;
    const pf_tensor **bound; /* private: [n_bound] the tensors bound so far, in order */
    size_t n_bound;
    bool check_only; /* for a check before a conversion: matrices are not made on demand */
} pf_binder;

bool pf_binder_init(pf_binder *binder, pf_checkpoint *checkpoint, pf_error *error);
void pf_binder_free(pf_binder *binder); /* a zeroed one is allowed */

/* The tensor of that name, or NULL. Binds nothing. */
const pf_tensor *pf_bind_find(const pf_binder *binder, const char *name);

/* Binds the matrix [rows, cols]; it keeps the file's type. */
bool pf_bind_matrix(pf_binder *binder, const char *name, size_t rows, size_t cols,
                    pf_matrix *matrix, pf_error *error);

/* Binds a tensor of the given shape (n_dims axes, GGUF's order) as float32: borrowed if the file
 * has aligned float32, otherwise converted into memory of the checkpoint. */
bool pf_bind_floats(pf_binder *binder, const char *name, uint32_t n_dims, const uint64_t *shape,
                    const float **values, pf_error *error);
bool pf_bind_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                    pf_error *error);
/* *values = NULL if there is no such tensor. */
bool pf_bind_optional_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                             pf_error *error);

/* Fails if the checkpoint has a tensor that was not bound, and names it. */
bool pf_bind_nothing_left(pf_binder *binder, pf_error *error);

#endif
