/* floor 3.1 - GGUF reader: versions 2 and 3, little-endian, one file.
 *
 * Invariant of the cursor: it returns only bytes inside the file, and never moves backwards. A
 * count is trusted only once the rest of the file is known to be large enough for so many entries.
 */
#include "gguf.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are used as they are in the file, which is little-endian"
#endif

#define DEFAULT_ALIGNMENT 32
#define MIN_KEY_BYTES (8 + 1 + 4 + 1)            /* string of one byte, type, one byte of value */
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 8 + 4 + 8) /* string of one byte, one dimension */

typedef struct {
    pf_slice bytes;
    size_t at;
} cursor;

static size_t left(const cursor *in) { return in->bytes.size - in->at; }

static bool cut_off(const char *where, pf_error *error) {
    return pf_fail(error, "the GGUF file ends inside %s; it is truncated or damaged", where);
}

/* The next `size` bytes; NULL if the file is too short. */
static const uint8_t *take(cursor *in, uint64_t size) {
    pf_slice part;
    if (!pf_slice_part(in->bytes, in->at, size, &part)) return NULL;
    in->at += part.size;
    return part.data;
}

static bool read_u32(cursor *in, uint32_t *value) {
    const uint8_t *bytes = take(in, sizeof *value);
    if (bytes) memcpy(value, bytes, sizeof *value);
    return bytes != NULL;
}

static bool read_u64(cursor *in, uint64_t *value) {
    const uint8_t *bytes = take(in, sizeof *value);
    if (bytes) memcpy(value, bytes, sizeof *value);
    return bytes != NULL;
}

static bool read_text(cursor *in, pf_text *text) {
    uint64_t size;
    if (!read_u64(in, &size)) return false;
    const uint8_t *bytes = take(in, size);
    *text = (pf_text){(const char *)bytes, (size_t)size};
    return bytes != NULL;
}

/* ---- metadata ---- */

static void decode_number(pf_meta *meta, const uint8_t *bytes) {
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        uint64_t u;
    } raw = {.u = 0};
    memcpy(&raw, bytes, pf_meta_type_bytes(meta->type)); /* little-endian */
    switch (meta->type) {
    case PF_META_I8:
        meta->value.i = (int64_t)raw.i8;
        break;
    case PF_META_I16:
        meta->value.i = raw.i16;
        break;
    case PF_META_I32:
        meta->value.i = raw.i32;
        break;
    case PF_META_I64:
        meta->value.i = raw.i64;
        break;
    case PF_META_F32:
        meta->value.f = (double)raw.f32;
        break;
    case PF_META_F64:
        meta->value.f = raw.f64;
        break;
    default:
        meta->value.u = raw.u;
        break; /* unsigned, bool */
    }
}

static bool read_texts(cursor *in, const char *key, pf_meta *meta, pf_checkpoint *checkpoint,
                       pf_error *error) {
    pf_text *texts =
        pf_checkpoint_alloc(checkpoint, meta->count * sizeof *texts, "a checkpoint's texts", error);
    if (!texts) return false;
    for (size_t i = 0; i < meta->count; i++)
        if (!read_text(in, &texts[i])) return cut_off(key, error);
    meta->value.texts = texts;
    return true;
}

static bool read_array(cursor *in, const char *key, pf_meta *meta, pf_checkpoint *checkpoint,
                       pf_error *error) {
    uint32_t type;
    uint64_t count;
    if (!read_u32(in, &type) || !read_u64(in, &count)) return cut_off(key, error);
    if (type >= PF_META_TYPE_COUNT || type == PF_META_ARRAY)
        return pf_fail(error, "the metadata key %s is an array of type %u, which is not supported",
                       key, type);
    meta->element_type = (pf_meta_type)type;
    size_t size = pf_meta_type_bytes(meta->element_type); /* 0 for strings, of 8 bytes or more */
    if (count > left(in) / (size ? size : sizeof(uint64_t))) return cut_off(key, error);
    meta->count = (size_t)count;
    if (size == 0) return read_texts(in, key, meta, checkpoint, error);
    meta->value.array = take(in, count * size);
    return true;
}

static bool read_key(cursor *in, pf_checkpoint *checkpoint, pf_error *error) {
    pf_text key;
    uint32_t type;
    if (!read_text(in, &key) || !read_u32(in, &type)) return cut_off("its metadata", error);
    char name[80]; /* for messages; pf_checkpoint_put_meta checks the whole key */
    size_t shown = key.size < sizeof name ? key.size : sizeof name - 1;
    memcpy(name, key.bytes, shown);
    name[shown] = '\0';
    if (type >= PF_META_TYPE_COUNT)
        return pf_fail(error, "the metadata key %s has the unknown type %u", name, type);

    pf_meta meta = {.type = (pf_meta_type)type, .count = 1};
    if (meta.type == PF_META_ARRAY) {
        if (!read_array(in, name, &meta, checkpoint, error)) return false;
    } else if (meta.type == PF_META_STRING) {
        if (!read_text(in, &meta.value.text)) return cut_off(name, error);
    } else {
        const uint8_t *bytes = take(in, pf_meta_type_bytes(meta.type));
        if (!bytes) return cut_off(name, error);
        decode_number(&meta, bytes);
    }
    size_t before = pf_checkpoint_n_meta(checkpoint);
    if (!pf_checkpoint_put_meta(checkpoint, key.bytes, key.size, meta, error)) return false;
    if (pf_checkpoint_n_meta(checkpoint) == before)
        return pf_fail(error, "the metadata key %s is there twice", name);
    return true;
}

/* Reads the keys that the rest of the file depends on. */
static bool read_file_keys(const pf_checkpoint *checkpoint, uint32_t *alignment, pf_error *error) {
    *alignment = DEFAULT_ALIGNMENT;
    if (!pf_checkpoint_get_u32(checkpoint, "general.alignment", alignment, error)) return false;
    if (*alignment == 0 || (*alignment & (*alignment - 1)) || *alignment > 1u << 20)
        return pf_fail(error, "general.alignment is %u, but should be a power of two up to 2^20",
                       *alignment);
    return true;
}

/* ---- tensors ---- */

/* One row of the table; the offset counts from the beginning of the data, which is not known
 * yet. */
typedef struct {
    char name[256];
    pf_type type;
    uint32_t n_dims;
    uint64_t shape[PF_MAX_DIMS];
    uint64_t offset, bytes;
} tensor_entry;

typedef struct {
    uint64_t begin, end;
    size_t index;
} extent;

static bool unknown_type(const char *tensor, uint32_t type, pf_error *error) {
    char list[160] = "";
    size_t used = 0;
    for (uint32_t t = 0; t < PF_TYPE_COUNT; t++) {
        const pf_type_info *info = pf_type_get(t);
        if (info && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     info->name);
    }
    return pf_fail(error, "the tensor %s is of ggml type %u, which is not supported; supported: %s",
                   tensor, type, list);
}

/* entry->bytes = rows * bytes per row. Fails if that overflows, or a row is not a whole number of
 * blocks. */
static bool measure(tensor_entry *entry, pf_error *error) {
    const pf_type_info *info = pf_type_get(entry->type);
    if (entry->shape[0] % info->block_size)
        return pf_fail(
            error, "the tensor %s has rows of %llu values, not a multiple of the %zu in a %s block",
            entry->name, (unsigned long long)entry->shape[0], info->block_size, info->name);
    entry->bytes = entry->shape[0] / info->block_size;
    bool fits = !__builtin_mul_overflow(entry->bytes, (uint64_t)info->block_bytes, &entry->bytes);
    uint64_t values = entry->shape[0]; /* must not overflow either: loops count values */
    for (uint32_t i = 1; i < entry->n_dims; i++) {
        fits = fits && !__builtin_mul_overflow(entry->bytes, entry->shape[i], &entry->bytes);
        fits = fits && !__builtin_mul_overflow(values, entry->shape[i], &values);
    }
    if (!fits || entry->bytes > SIZE_MAX / 2)
        return pf_fail(error, "the tensor %s has a shape whose size overflows", entry->name);
    return true;
}

static bool read_entry(cursor *in, tensor_entry *entry, pf_error *error) {
    pf_text name;
    uint32_t type;
    if (!read_text(in, &name)) return cut_off("its table of tensors", error);
    if (name.size == 0 || name.size >= sizeof entry->name || memchr(name.bytes, '\0', name.size))
        return pf_fail(
            error, "the name of a tensor is empty, longer than %zu bytes, or contains a zero byte",
            sizeof entry->name - 1);
    memcpy(entry->name, name.bytes, name.size);
    entry->name[name.size] = '\0';

    if (!read_u32(in, &entry->n_dims)) return cut_off("its table of tensors", error);
    if (entry->n_dims < 1 || entry->n_dims > PF_MAX_DIMS)
        return pf_fail(error, "the tensor %s has %u dimensions; 1 to %d are supported", entry->name,
                       entry->n_dims, PF_MAX_DIMS);
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        if (!read_u64(in, &entry->shape[i])) return cut_off("its table of tensors", error);
        if (entry->shape[i] == 0)
            return pf_fail(error, "the tensor %s has an empty dimension", entry->name);
    }
    if (!read_u32(in, &type) || !read_u64(in, &entry->offset))
        return cut_off("its table of tensors", error);
    if (!pf_type_get(type)) return unknown_type(entry->name, type, error);
    entry->type = (pf_type)type;
    return measure(entry, error);
}

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Tensors that share bytes mean a damaged file, or a malicious one. */
static bool check_overlaps(const pf_checkpoint *checkpoint, extent *extents, size_t count,
                           pf_error *error) {
    qsort(extents, count, sizeof *extents, compare_extents);
    for (size_t i = 1; i < count; i++)
        if (extents[i].begin < extents[i - 1].end)
            return pf_fail(error, "the tensors %s and %s overlap",
                           pf_checkpoint_tensor(checkpoint, extents[i - 1].index)->name,
                           pf_checkpoint_tensor(checkpoint, extents[i].index)->name);
    return true;
}

/* The data begins after the table, so the table is read twice: first to check it and find its end,
 * then to add the tensors. */
static bool read_tensors(cursor *in, size_t count, uint32_t alignment, pf_checkpoint *checkpoint,
                         pf_error *error) {
    size_t table = in->at;
    tensor_entry entry = {0};
    for (size_t i = 0; i < count; i++)
        if (!read_entry(in, &entry, error)) return false;
    if (count == 0) return true; /* a file with only a vocabulary may have no padding */

    size_t padding = (alignment - in->at % alignment) % alignment;
    pf_slice data, bytes;
    if (!take(in, padding)) return cut_off("the padding before its tensors", error);
    pf_slice_part(in->bytes, in->at, left(in), &data);

    extent *extents = pf_calloc(count, sizeof *extents, "a table of tensors", error);
    if (!extents) return false;
    in->at = table;
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        good = read_entry(in, &entry, error);
        if (good && entry.offset % alignment)
            good =
                pf_fail(error, "the tensor %s is not aligned to %u bytes", entry.name, alignment);
        if (good && !pf_slice_part(data, entry.offset, entry.bytes, &bytes))
            good = pf_fail(error,
                           "the tensor %s (%llu bytes at %llu) reaches beyond the end of the file; "
                           "the file is truncated or damaged",
                           entry.name, (unsigned long long)entry.bytes,
                           (unsigned long long)entry.offset);
        good = good && pf_checkpoint_add_tensor(checkpoint, entry.name, entry.type, entry.n_dims,
                                                entry.shape, bytes.data, bytes.size, error);
        extents[i] = (extent){entry.offset, entry.offset + entry.bytes, i};
    }
    good = good && check_overlaps(checkpoint, extents, count, error);
    pf_free(extents);
    return good;
}

/* ---- the file ---- */

bool pf_gguf_sniff(pf_slice bytes) { return bytes.size >= 4 && memcmp(bytes.data, "GGUF", 4) == 0; }

bool pf_gguf_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error) {
    cursor in = {bytes, 0};
    uint32_t magic, version, alignment;
    uint64_t n_tensors, n_keys;
    if (!pf_gguf_sniff(bytes)) return pf_fail(error, "this is not a GGUF file");
    if (!read_u32(&in, &magic) || !read_u32(&in, &version)) return cut_off("its header", error);
    if ((version & 0xffff) == 0 && version != 0)
        return pf_fail(error, "this is a big-endian GGUF file; convert it to little-endian first");
    if (version != 2 && version != 3)
        return pf_fail(error, "this is GGUF version %u; versions 2 and 3 are supported", version);
    if (!read_u64(&in, &n_tensors) || !read_u64(&in, &n_keys)) return cut_off("its header", error);
    if (n_keys > left(&in) / MIN_KEY_BYTES || n_tensors > left(&in) / MIN_TENSOR_BYTES)
        return pf_fail(error,
                       "the GGUF header claims %llu keys and %llu tensors, more than the file can "
                       "hold; it is truncated or damaged",
                       (unsigned long long)n_keys, (unsigned long long)n_tensors);
    for (uint64_t i = 0; i < n_keys; i++)
        if (!read_key(&in, checkpoint, error)) return false;
    return read_file_keys(checkpoint, &alignment, error) &&
           read_tensors(&in, (size_t)n_tensors, alignment, checkpoint, error);
}
