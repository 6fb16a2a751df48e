/* floor 3.3 - strided: a tensor as PyTorch stores it, a view with strides of a flat storage.
 *
 * element [i_0, i_1, ...] = storage[offset + i_0 stride[0] + i_1 stride[1] + ...]
 *
 * Offset and strides count elements; axis 0 is the innermost. */
#ifndef PF_STRIDED_H
#define PF_STRIDED_H

#include "checkpoint.h"
#include "pickle_value.h"

typedef struct pf_strided {
    pf_storage_type type;
    uint32_t n_dims;
    uint64_t shape[PF_MAX_DIMS], stride[PF_MAX_DIMS]; /* 1 and 0 from n_dims on */
    uint64_t offset;
} pf_strided;

/* True if all elements are inside a storage of storage_bytes, and are no more than it has; *count
 * is their number. No axis may be empty. */
bool pf_strided_check(const pf_strided *view, uint64_t storage_bytes, uint64_t *count);

/* The type that pf_strided_gather writes: F32, F16 and BF16 remain, all others become F32. */
pf_type pf_strided_type(const pf_strided *view);
/* True if the bytes of the storage are the tensor's: contiguous, and of a type that remains. */
bool pf_strided_is_plain(const pf_strided *view);

/* The size in bytes of the part of the storage that holds all elements; *first is where it
 * begins. */
uint64_t pf_strided_extent(const pf_strided *view, uint64_t *first);
/* out = the elements, contiguous and converted, from the bytes of that part. */
void pf_strided_gather(const pf_strided *view, const void *bytes, void *out);

#endif
