/* floor 3.1 - GGUF writer: a checkpoint as GGUF version 3, tensors converted on the way.
 *
 * Which type a tensor gets, if one is asked for:
 *   - vectors (one dimension), `performer.*`, `blk.N.favor.*` and `position_embd.weight`: F32
 *   - matrices whose rows are a multiple of the type's block: that type
 *   - other matrices: the type they have (172 values are no whole number of 32-value blocks)
 * A tensor that already has its type is copied byte for byte. Memory: a few rows, and a whole tensor
 * only where it has to be made (pf_tensor.make), one at a time.
 */
#ifndef PF_GGUF_WRITE_H
#define PF_GGUF_WRITE_H

#include "checkpoint.h"

typedef struct pf_gguf_options {
    bool convert; /* false: every tensor keeps its type */
    pf_type type; /* F32, F16, BF16, Q8_0 or Q4_0 */
    /* Called as bytes of tensor data go out (done of total); may be NULL. */
    void (*progress)(void *context, const char *tensor, uint64_t done, uint64_t total);
    void *context;
} pf_gguf_options;

/* True for the types that `type` may be. */
bool pf_gguf_can_write(pf_type type);
/* The type that pf_gguf_write gives the tensor. */
pf_type pf_gguf_target_type(const pf_tensor *tensor, const pf_gguf_options *options);

/* Writes the file whole or not at all. general.file_type is set to match; general.alignment (always 32
 * here) and split.* are not carried over; all other keys are, in their order. */
bool pf_gguf_write(const pf_checkpoint *checkpoint, const char *path,
                   const pf_gguf_options *options, pf_error *error);

#endif
