/* floor 3.1 - GGUF writer: stores a checkpoint as GGUF version 3 and converts tensors on the way.
 *
 * All sizes are known before the first byte is written, so the file is written from front to back
 * and may be a pipe. Values are converted CHUNK_VALUES at a time.
 */
#include "gguf_write.h"

#include "finite.h"
#include "memory.h"
#include "quant.h"

#include <math.h>
#include <string.h>

#define ALIGNMENT 32
#define CHUNK_VALUES ((size_t)1 << 16)

/* ---- which type ---- */

bool pf_gguf_can_write(pf_type type) {
    return type == PF_F32 || type == PF_F16 || type == PF_BF16 || type == PF_Q8_0 ||
           type == PF_Q4_0;
}

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Tensors that the engine reads as floats: quantising them would save little and cost accuracy. */
static bool stays_float(const pf_tensor *tensor) {
    return tensor->n_dims < 2 || begins_with(tensor->name, "performer.") ||
           strstr(tensor->name, ".favor.") || strcmp(tensor->name, "position_embd.weight") == 0;
}

pf_type pf_gguf_target_type(const pf_tensor *tensor, const pf_gguf_options *options) {
    if (!options->convert) return tensor->type;
    if (stays_float(tensor)) return PF_F32;
    return tensor->shape[0] % pf_type_get(options->type)->block_size == 0 ? options->type
                                                                          : tensor->type;
}

static size_t n_rows(const pf_tensor *tensor) {
    return (size_t)(tensor->shape[1] * tensor->shape[2] *
                    tensor->shape[3]); /* checked by the reader */
}

static bool target_bytes(const pf_tensor *tensor, const pf_gguf_options *options, size_t *bytes,
                         pf_error *error) {
    size_t row = pf_row_bytes(pf_gguf_target_type(tensor, options), (size_t)tensor->shape[0]);
    if (row == 0 || !pf_mul_size(row, n_rows(tensor), bytes) || *bytes > SIZE_MAX / 2)
        return pf_fail(error, "the tensor %s is too large to convert", tensor->name);
    if (pf_gguf_target_type(tensor, options) == tensor->type && *bytes != tensor->bytes)
        return pf_fail(error, "the tensor %s has %zu bytes, but its shape needs %zu", tensor->name,
                       tensor->bytes, *bytes);
    return true;
}

size_t pf_gguf_target_bytes(const pf_tensor *tensor, const pf_gguf_options *options) {
    size_t bytes;
    return target_bytes(tensor, options, &bytes, NULL) ? bytes : 0;
}

static size_t padding(uint64_t offset) {
    return (size_t)((ALIGNMENT - offset % ALIGNMENT) % ALIGNMENT);
}

/* ---- header ---- */

typedef struct {
    const pf_checkpoint *checkpoint;
    const pf_gguf_options *options;
    pf_writer *writer;
    uint64_t total, done; /* bytes of tensor data, for `progress` */
} job;

static bool put(job *out, const void *bytes, size_t size, pf_error *error) {
    return pf_writer_write(out->writer, bytes, size, error);
}

static bool put_u32(job *out, uint32_t value, pf_error *error) {
    return put(out, &value, sizeof value, error); /* little-endian, as gguf.c requires */
}

static bool put_u64(job *out, uint64_t value, pf_error *error) {
    return put(out, &value, sizeof value, error);
}

static bool put_text(job *out, const char *bytes, size_t size, pf_error *error) {
    return put_u64(out, size, error) && put(out, bytes, size, error);
}

static bool put_padding(job *out, pf_error *error) {
    static const char zeros[ALIGNMENT];
    return put(out, zeros, padding(pf_writer_offset(out->writer)), error);
}

static bool put_value(job *out, const pf_meta *meta, pf_error *error) {
    float narrow = (float)meta->value.f;
    switch (meta->type) {
    case PF_META_STRING:
        return put_text(out, meta->value.text.bytes, meta->value.text.size, error);
    case PF_META_F32:
        return put(out, &narrow, sizeof narrow, error);
    case PF_META_ARRAY:
        break;
    default: /* integers, bool and F64: the first bytes of the union */
        return put(out, &meta->value, pf_meta_type_bytes(meta->type), error);
    }
    if (!put_u32(out, meta->element_type, error) || !put_u64(out, meta->count, error)) return false;
    if (meta->element_type != PF_META_STRING)
        return put(out, meta->value.array, meta->count * pf_meta_type_bytes(meta->element_type),
                   error);
    for (size_t i = 0; i < meta->count; i++)
        if (!put_text(out, meta->value.texts[i].bytes, meta->value.texts[i].size, error))
            return false;
    return true;
}

static bool put_key(job *out, const char *key, const pf_meta *meta, pf_error *error) {
    return put_text(out, key, strlen(key), error) && put_u32(out, meta->type, error) &&
           put_value(out, meta, error);
}

/* Keys that describe the file rather than the model; we write our own. */
static bool is_replaced(const pf_meta *meta, const pf_gguf_options *options) {
    return strcmp(meta->key, "general.alignment") == 0 || begins_with(meta->key, "split.") ||
           (options->convert && (strcmp(meta->key, "general.file_type") == 0 ||
                                 strcmp(meta->key, "general.quantization_version") == 0));
}

/* llama.cpp's number for a file with matrices of this type. */
static uint32_t file_type(pf_type type) {
    switch (type) {
    case PF_F16:
        return 1;
    case PF_Q4_0:
        return 2;
    case PF_Q8_0:
        return 7;
    case PF_BF16:
        return 32;
    default:
        return 0;
    }
}

static bool put_keys(job *out, pf_error *error) {
    const pf_checkpoint *checkpoint = out->checkpoint;
    const pf_meta type = {.type = PF_META_U32, .value.u = file_type(out->options->type)};
    const pf_meta version = {.type = PF_META_U32, .value.u = 2};
    for (size_t i = 0; i < pf_checkpoint_n_meta(checkpoint); i++) {
        const pf_meta *meta = pf_checkpoint_meta(checkpoint, i);
        if (!is_replaced(meta, out->options) && !put_key(out, meta->key, meta, error)) return false;
    }
    return !out->options->convert ||
           (put_key(out, "general.file_type", &type, error) &&
            put_key(out, "general.quantization_version", &version, error));
}

static size_t count_keys(const job *out) {
    size_t count = out->options->convert ? 2 : 0;
    for (size_t i = 0; i < pf_checkpoint_n_meta(out->checkpoint); i++)
        count += !is_replaced(pf_checkpoint_meta(out->checkpoint, i), out->options);
    return count;
}

static bool put_table(job *out, pf_error *error) {
    uint64_t offset = 0;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(out->checkpoint); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(out->checkpoint, i);
        size_t bytes = 0;
        if (!target_bytes(tensor, out->options, &bytes, error) ||
            !put_text(out, tensor->name, strlen(tensor->name), error) ||
            !put_u32(out, tensor->n_dims, error))
            return false;
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            if (!put_u64(out, tensor->shape[d], error)) return false;
        if (!put_u32(out, pf_gguf_target_type(tensor, out->options), error) ||
            !put_u64(out, offset, error))
            return false;
        out->total += bytes;
        offset += bytes + padding(bytes);
    }
    return true;
}

static bool put_header(job *out, pf_error *error) {
    return put(out, "GGUF", 4, error) && put_u32(out, 3, error) &&
           put_u64(out, pf_checkpoint_n_tensors(out->checkpoint), error) &&
           put_u64(out, count_keys(out), error) && put_keys(out, error) && put_table(out, error) &&
           put_padding(out, error);
}

/* ---- data ---- */

static bool put_data(job *out, const pf_tensor *tensor, const void *bytes, size_t size,
                     pf_error *error) {
    if (!put(out, bytes, size, error)) return false;
    out->done += size;
    if (out->options->progress)
        out->options->progress(out->options->context, tensor->name, out->done, out->total);
    return true;
}

static bool copy_tensor(job *out, const pf_tensor *tensor, const char *data, pf_error *error) {
    const size_t step = CHUNK_VALUES * sizeof(float);
    for (size_t at = 0; at < tensor->bytes; at += step) {
        size_t size = tensor->bytes - at < step ? tensor->bytes - at : step;
        if (!put_data(out, tensor, data + at, size, error)) return false;
    }
    return true;
}

/* Says why blocks made from values [n] contain a NaN or an infinity. */
static bool fail_finite(const pf_tensor *tensor, const float *values, size_t n, pf_type type,
                        pf_error *error) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            return pf_fail(error,
                           "the tensor %s has a value that is NaN or infinite; "
                           "the file is damaged",
                           tensor->name);
        if (fabsf(values[i]) > largest) largest = fabsf(values[i]);
    }
    return pf_fail(error,
                   "the tensor %s has a value of %g, too large for %s; choose --type bf16 or f32",
                   tensor->name, (double)largest, pf_type_get(type)->name);
}

/* Every row is a whole number of blocks in both types, so the tensor can be treated as one long
 * row. A chunk is a multiple of every block size. */
static bool convert_tensor(job *out, const pf_tensor *tensor, const char *data, pf_type type,
                           float *values, uint8_t *blocks, pf_error *error) {
    size_t cols = (size_t)tensor->shape[0], total = cols * n_rows(tensor);
    for (size_t at = 0; at < total; at += CHUNK_VALUES) {
        size_t n = total - at < CHUNK_VALUES ? total - at : CHUNK_VALUES;
        pf_dequantize_row(tensor->type, data + pf_row_bytes(tensor->type, at), values, n);
        if (!pf_quantize_row(type, values, blocks, n))
            return pf_fail(
                error, "tensors of type %s cannot be written; choose f32, f16, bf16, q8_0 or q4_0",
                pf_type_get(type)->name);
        if (!pf_row_is_finite(type, blocks, n)) return fail_finite(tensor, values, n, type, error);
        if (!put_data(out, tensor, blocks, pf_row_bytes(type, n), error)) return false;
    }
    return true;
}

/* Writes the tensor from the file, or makes it, writes it and frees it. */
static bool put_tensor(job *out, const pf_tensor *tensor, float *values, uint8_t *blocks,
                       pf_error *error) {
    pf_type type = pf_gguf_target_type(tensor, out->options);
    char *made = NULL;
    bool good = true;
    if (!tensor->data) {
        made = pf_calloc(tensor->bytes, 1, tensor->name, error);
        good = made && tensor->make(tensor->context, tensor, made, error);
    }
    const char *data = made ? made : tensor->data;
    good = good &&
           (type == tensor->type ? copy_tensor(out, tensor, data, error)
                                 : convert_tensor(out, tensor, data, type, values, blocks, error));
    pf_free(made);
    return good && put_padding(out, error);
}

static bool put_tensors(job *out, pf_error *error) {
    /* No type that pf_quantize_row writes needs more than four bytes per value. */
    float *values = pf_calloc(CHUNK_VALUES, sizeof *values, "a conversion", error);
    uint8_t *blocks = pf_calloc(CHUNK_VALUES, sizeof(float), "a conversion", error);
    bool good = values && blocks;
    for (size_t i = 0; good && i < pf_checkpoint_n_tensors(out->checkpoint); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(out->checkpoint, i);
        good = put_tensor(out, tensor, values, blocks, error);
    }
    pf_free(blocks);
    pf_free(values);
    return good;
}

bool pf_gguf_write(const pf_checkpoint *checkpoint, const char *path,
                   const pf_gguf_options *options, pf_error *error) {
    if (options->convert && !pf_gguf_can_write(options->type))
        return pf_fail(error,
                       "tensors of type %s cannot be written; choose f32, f16, bf16, q8_0 or q4_0",
                       pf_type_get(options->type)->name);
    job out = {.checkpoint = checkpoint, .options = options};
    out.writer = pf_writer_open(path, error);
    if (!out.writer) return false;
    if (!put_header(&out, error) || !put_tensors(&out, error)) {
        pf_writer_abort(out.writer);
        return false;
    }
    return pf_writer_commit(out.writer, error);
}
