/* floor 4.0 - bind: tensors by name, with type and shape checked -> views for a model. */
#include "bind.h"

#include "memory.h"
#include "quant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pf_binder_init(pf_binder *binder, pf_checkpoint *checkpoint, pf_error *error) {
    *binder = (pf_binder){.checkpoint = checkpoint};
    binder->bound = pf_calloc(pf_checkpoint_n_tensors(checkpoint), sizeof *binder->bound,
                              "the list of bound tensors", error);
    return binder->bound != NULL;
}

void pf_binder_free(pf_binder *binder) {
    pf_free(binder->bound);
    *binder = (pf_binder){0};
}

const pf_tensor *pf_bind_find(const pf_binder *binder, const char *name) {
    return pf_checkpoint_find(binder->checkpoint, name);
}

/* "[576, 49152]" */
static const char *shape_text(uint32_t n_dims, const uint64_t *shape, char *text, size_t size) {
    size_t used = 0;
    for (uint32_t i = 0; i < n_dims && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, i ? ", " : "[", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

/* File readers check this too; for a checkpoint built in memory, only we do. */
static bool check_bytes(const pf_tensor *tensor, pf_error *error) {
    size_t bytes = pf_type_get(tensor->type) ? pf_row_bytes(tensor->type, tensor->shape[0]) : 0;
    for (int i = 1; i < PF_MAX_DIMS; i++)
        if (!pf_mul_size(bytes, tensor->shape[i], &bytes)) bytes = 0;
    if (bytes == 0 || bytes != tensor->bytes)
        return pf_fail(error,
                       "the tensor %s has %zu bytes, which does not match its type and shape",
                       tensor->name, tensor->bytes);
    return true;
}

/* Returns the tensor if it has exactly this shape, and marks it as bound. Axes of 1 at the end do
 * not count. */
static const pf_tensor *take(pf_binder *binder, const char *name, uint32_t n_dims,
                             const uint64_t *shape, pf_error *error) {
    char expected[96], found[96];
    const pf_tensor *tensor = pf_bind_find(binder, name);
    if (!tensor) {
        pf_fail(error,
                "the tensor %s %s is missing; the file is incomplete, or not of the family that "
                "its general.architecture names",
                name, shape_text(n_dims, shape, expected, sizeof expected));
        return NULL;
    }
    for (uint32_t i = 0; i < PF_MAX_DIMS; i++) {
        if (tensor->shape[i] == (i < n_dims ? shape[i] : 1)) continue;
        pf_fail(error, "the tensor %s has shape %s, but the file's metadata asks for %s", name,
                shape_text(tensor->n_dims, tensor->shape, found, sizeof found),
                shape_text(n_dims, shape, expected, sizeof expected));
        return NULL;
    }
    if (!check_bytes(tensor, error)) return NULL;
    if (binder->n_bound == pf_checkpoint_n_tensors(binder->checkpoint)) {
        pf_fail(error, "the tensor %s is bound twice", name);
        return NULL;
    }
    binder->bound[binder->n_bound++] = tensor;
    return tensor;
}

bool pf_bind_matrix(pf_binder *binder, const char *name, size_t rows, size_t cols,
                    pf_matrix *matrix, pf_error *error) {
    const pf_tensor *tensor = take(binder, name, 2, (uint64_t[]){cols, rows}, error);
    if (!tensor) return false;
    if (!binder->check_only && !pf_checkpoint_need_data(binder->checkpoint, tensor, error))
        return false;
    /* What is not made is never read, but a model is tied if two of its matrices are one. */
    *matrix = (pf_matrix){tensor->type, rows, cols, tensor->data ? tensor->data : tensor};
    return true;
}

static const float *convert(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_error *error) {
    size_t cols = tensor->shape[0], row_bytes = pf_row_bytes(tensor->type, cols);
    size_t rows = tensor->bytes / row_bytes, bytes;
    if (!pf_mul_size(rows, cols, &bytes) || !pf_mul_size(bytes, sizeof(float), &bytes)) {
        pf_fail(error, "the tensor %s is too large", tensor->name);
        return NULL;
    }
    float *values = pf_checkpoint_alloc(checkpoint, bytes, tensor->name, error);
    if (!values) return NULL;
    for (size_t r = 0; r < rows; r++)
        pf_dequantize_row(tensor->type, (const char *)tensor->data + r * row_bytes,
                          values + r * cols, cols);
    return values;
}

bool pf_bind_floats(pf_binder *binder, const char *name, uint32_t n_dims, const uint64_t *shape,
                    const float **values, pf_error *error) {
    const pf_tensor *tensor = take(binder, name, n_dims, shape, error);
    if (!tensor || !pf_checkpoint_need_data(binder->checkpoint, tensor, error)) return false;
    bool borrow = tensor->type == PF_F32 && (uintptr_t)tensor->data % sizeof(float) == 0;
    *values = borrow ? tensor->data : convert(binder->checkpoint, tensor, error);
    return *values != NULL;
}

bool pf_bind_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                    pf_error *error) {
    return pf_bind_floats(binder, name, 1, (uint64_t[]){n}, values, error);
}

bool pf_bind_optional_vector(pf_binder *binder, const char *name, size_t n, const float **values,
                             pf_error *error) {
    *values = NULL;
    return !pf_bind_find(binder, name) || pf_bind_vector(binder, name, n, values, error);
}

/* ---- tensors left over ---- */

static int by_address(const void *a, const void *b) {
    const pf_tensor *x = *(const pf_tensor *const *)a, *y = *(const pf_tensor *const *)b;
    return (x > y) - (x < y);
}

/* Tables that old converters wrote, and that the hyperparameters determine. */
static bool is_redundant(const pf_tensor *tensor) {
    return strstr(tensor->name, "rot_embd") != NULL || strstr(tensor->name, "rotary_emb") != NULL;
}

bool pf_bind_nothing_left(pf_binder *binder, pf_error *error) {
    size_t n = pf_checkpoint_n_tensors(binder->checkpoint);
    qsort(binder->bound, binder->n_bound, sizeof *binder->bound, by_address);
    for (size_t i = 0; i < n; i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(binder->checkpoint, i);
        if (is_redundant(tensor) ||
            bsearch(&tensor, binder->bound, binder->n_bound, sizeof *binder->bound, by_address))
            continue;
        return pf_fail(error,
                       "the tensor %s has no use in this family as performer computes it, and "
                       "leaving it out would give wrong results",
                       tensor->name);
    }
    return true;
}
