/* floor 4.1 - LoRA deltas: what an adapter adds to matrices, as tensors that are made on demand.
 *
 * The delta of a matrix W [rows, cols] is scale * up down, with up [rows, rank] and
 * down [rank, cols] (Hu 2021, section 4.1: B and A). Its values are F32.
 */
#ifndef PF_LORA_DELTAS_H
#define PF_LORA_DELTAS_H

#include "checkpoint.h"

typedef struct pf_lora_pair {
    const pf_tensor *up, *down;
    bool up_transposed, down_transposed; /* stored as [rank, rows], [cols, rank] */
    float scale;
} pf_lora_pair;

/* Adds the delta under the name of its matrix. The tensors of the pair must have data, and live as
 * long as the checkpoint. Fails if they do not fit each other. */
bool pf_lora_delta_add(pf_checkpoint *deltas, const char *name, const pf_lora_pair *pair,
                       pf_error *error);

/* The pair's rank; 0 if its tensors do not fit each other. */
size_t pf_lora_rank(const pf_lora_pair *pair);

/* Adds the deltas to the tensors of `base` of the same names, which are made on demand from then
 * on: as F32 if they were F32, otherwise as F16, by n_threads. Takes ownership of `deltas`, also on
 * failure.
 *
 * If base has no output.weight (its output is token_embd.weight) and deltas has one of the two, the
 * matrices part, so that only the one that deltas has changes. */
bool pf_lora_deltas_merge(pf_checkpoint *base, pf_checkpoint *deltas, int n_threads,
                          pf_error *error);

#endif
