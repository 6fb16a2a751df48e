/* floor 4.0 - LoRA write: an adapter as a GGUF file of llama.cpp's form. */
#ifndef PF_LORA_WRITE_H
#define PF_LORA_WRITE_H

#include "error.h"

#include <stddef.h>

/* What an adapter adds to a matrix W [rows, cols]: alpha / rank * b a. */
typedef struct pf_lora_matrix {
    const char *name; /* the matrix, under GGUF's name: "blk.0.attn_q.weight" */
    size_t rows, cols, rank;
    const float *a; /* [rank, cols] */
    const float *b; /* [rows, rank] */
} pf_lora_matrix;

/* Writes the adapter, in F32, completely or not at all. family: the model's general.architecture.
 * Rows are those of the GGUF model, so q and k of the family llama need no reordering. The
 * embedding (token_embd.weight) is stored as llama.cpp wants it. */
bool pf_lora_write(const char *path, const char *family, float alpha,
                   const pf_lora_matrix *matrices, size_t n, pf_error *error);

#endif
