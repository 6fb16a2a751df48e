/* floor 3.3 - strided: a tensor as PyTorch keeps it, a view with strides into a flat storage.
 *
 * element [i_0, i_1, ...] = storage[offset + i_0 stride[0] + i_1 stride[1] + ...], all counted in
 * elements, axis 0 the innermost. */
#ifndef PF_STRIDED_H
#define PF_STRIDED_H

#include "checkpoint.h"
#include "pickle_value.h"

typedef struct pf_strided {
    pf_storage_type type;
    uint32_t n_dims;
    uint64_t shape[PF_MAX_DIMS], stride[PF_MAX_DIMS]; /* 1 and 0 beyond n_dims */
    uint64_t offset;
} pf_strided;

/* True if all elements lie in a storage of so many bytes, and are not more than it has; *count of them.
 * The shape is not empty. */
bool pf_strided_check(const pf_strided *view, uint64_t storage_bytes, uint64_t *count);

/* The type that gather gives: F32, F16 or BF16 as they are, all others as F32. */
pf_type pf_strided_type(const pf_strided *view);
/* True if the elements lie side by side, in a type that is kept: the storage's bytes are the tensor's. */
bool pf_strided_is_plain(const pf_strided *view);

/* Bytes of the storage from the first element to the last; *first: where they begin. */
uint64_t pf_strided_extent(const pf_strided *view, uint64_t *first);
/* bytes [extent] -> the elements, contiguous, converted. */
void pf_strided_gather(const pf_strided *view, const void *bytes, void *out);

#endif
