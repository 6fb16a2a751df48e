/* floor 1.0 - tensors: ggml's tensor types, and views of matrices stored in them.
 *
 * Axis letters, the same everywhere in this project:
 *   T tokens, C model width, H heads, D head dim, M features, V vocabulary, L layers, F hidden
 *   width of the MLP. Shapes are row-major: [T, C] is T rows of C contiguous numbers.
 */
#ifndef PF_TENSOR_H
#define PF_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values are those of ggml and of GGUF files. */
typedef enum pf_type {
    PF_F32 = 0,
    PF_F16 = 1,
    PF_Q4_0 = 2,
    PF_Q4_1 = 3,
    PF_Q5_0 = 6,
    PF_Q5_1 = 7,
    PF_Q8_0 = 8,
    PF_Q2_K = 10,
    PF_Q3_K = 11,
    PF_Q4_K = 12,
    PF_Q5_K = 13,
    PF_Q6_K = 14,
    PF_IQ4_NL = 20,
    PF_IQ4_XS = 23,
    PF_BF16 = 30,
    PF_TYPE_COUNT = 31
} pf_type;

/* A row is stored as blocks of `block_size` consecutive values, each `block_bytes` long. */
typedef struct pf_type_info {
    const char *name;  /* "q8_0"; NULL for numbers that are not a supported type */
    size_t block_size; /* values per block: 1, 32 or 256 */
    size_t block_bytes;
} pf_type_info;

const pf_type_info *pf_type_get(uint32_t type); /* NULL if unknown */
/* Finds a type by its name, ignoring case ("Q8_0"); false if unknown. */
bool pf_type_parse(const char *name, pf_type *type);

/* A weight matrix as stored in the file: `rows` outputs by `cols` inputs, row after row. data is
 * borrowed from the open file. rows == 0 means "this model has none". */
typedef struct pf_matrix {
    pf_type type;
    size_t rows, cols; /* cols is a multiple of the type's block size */
    const void *data;
} pf_matrix;

/* Bytes of one row of n values; 0 if n is not a multiple of the block size. */
size_t pf_row_bytes(pf_type type, size_t n);
/* Rows [first, first + count) as a matrix of their own (a fused QKV matrix is three of these). */
pf_matrix pf_matrix_rows(pf_matrix matrix, size_t first, size_t count);

#endif
