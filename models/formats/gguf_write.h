/* floor 3.1 - GGUF writer: stores a checkpoint as GGUF version 3 and converts tensors on the way.
 *
 * If a type is asked for, tensors get these types:
 *   - vectors (one dimension), `performer.*`, `blk.N.favor.*` and `position_embd.weight`: F32
 *   - matrices whose rows are a whole number of the type's blocks: that type
 *   - other matrices: their own type (172 values, say, do not divide into blocks of 32)
 * A tensor that has its type already is copied byte for byte. Memory: 64 Ki values at a time; only
 * a tensor that has to be made (pf_tensor.make) is held as a whole, one at a time.
 */
#ifndef PF_GGUF_WRITE_H
#define PF_GGUF_WRITE_H

#include "checkpoint.h"

typedef struct pf_gguf_options {
    bool convert; /* false: every tensor keeps its type */
    pf_type type; /* F32, F16, BF16, Q8_0 or Q4_0 */
    /* Called after each write of tensor data: done of total bytes. May be NULL. */
    void (*progress)(void *context, const char *tensor, uint64_t done, uint64_t total);
    void *context;
} pf_gguf_options;

/* True if `type` is one of the types above. */
bool pf_gguf_can_write(pf_type type);
/* The type with which pf_gguf_write stores the tensor. */
pf_type pf_gguf_target_type(const pf_tensor *tensor, const pf_gguf_options *options);
/* The bytes it then has in the file, without padding; 0 if it is too large. */
size_t pf_gguf_target_bytes(const pf_tensor *tensor, const pf_gguf_options *options);

/* Writes the whole file or none of it. Keys are copied in order, except general.alignment (always
 * 32 here) and split.*, which are left out. A conversion sets general.file_type to its type. */
bool pf_gguf_write(const pf_checkpoint *checkpoint, const char *path,
                   const pf_gguf_options *options, pf_error *error);

#endif
