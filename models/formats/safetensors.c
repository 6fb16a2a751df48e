/* floor 3.1 - safetensors: the tensors of one file, or of a folder's shards. */
#include "safetensors.h"

#include "json.h"
#include "memory.h"
#include "placeholder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH_BYTES 8
/* More than the header of any shard needs: 40,000 tensors. */
#define HEADER_LIMITS ((pf_json_limits){(size_t)8 << 20, (size_t)400 * 1000, 8})
#define INDEX_LIMITS ((pf_json_limits){(size_t)16 << 20, (size_t)1 << 17, 8})
#define MAX_SHARDS 1024

/* ---- types ---- */

typedef struct {
    const char *name;
    size_t bytes;
    bool is_weight; /* otherwise integers, which are left out */
    pf_type type;
} dtype;

static const dtype dtypes[] = {
    {"F32", 4, true, PF_F32},   {"F16", 2, true, PF_F16},  {"BF16", 2, true, PF_BF16},
    {"I64", 8, false, PF_F32},  {"I32", 4, false, PF_F32}, {"U8", 1, false, PF_F32},
    {"BOOL", 1, false, PF_F32},
};

static const dtype *find_dtype(const char *name) {
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(name, dtypes[i].name) == 0) return &dtypes[i];
    return NULL;
}

/* ---- one tensor ---- */

typedef struct {
    const char *name;
    const dtype *type;
    uint32_t n_dims;
    uint64_t shape[PF_MAX_DIMS]; /* reversed: the contiguous axis first */
    uint64_t begin, end;
} entry;

static bool get_count(const json_t *value, uint64_t *count) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *count = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_shape(const json_t *shape, entry *e, pf_error *error) {
    size_t n = json_array_size(shape);
    if (!json_is_array(shape) || n > PF_MAX_DIMS)
        return pf_fail(error, "the tensor %.200s has no shape, or one of more than %d dimensions",
                       e->name, PF_MAX_DIMS);
    e->n_dims = n ? (uint32_t)n : 1;
    e->shape[0] = 1;
    for (size_t i = 0; i < n; i++)
        if (!get_count(json_array_get(shape, n - 1 - i), &e->shape[i]) || e->shape[i] == 0)
            return pf_fail(error, "the tensor %.200s has a dimension that is not a number above 0",
                           e->name);
    return true;
}

static bool read_extent(const json_t *offsets, pf_slice data, entry *e, pf_error *error) {
    uint64_t bytes = e->type->bytes;
    pf_slice part;
    if (json_array_size(offsets) != 2 || !get_count(json_array_get(offsets, 0), &e->begin) ||
        !get_count(json_array_get(offsets, 1), &e->end) || e->end < e->begin)
        return pf_fail(error, "the tensor %.200s has no data_offsets [begin, end]", e->name);
    for (uint32_t i = 0; i < e->n_dims; i++)
        if (__builtin_mul_overflow(bytes, e->shape[i], &bytes))
            return pf_fail(error, "the tensor %.200s has a shape whose size overflows", e->name);
    if (bytes != e->end - e->begin)
        return pf_fail(error, "the tensor %.200s has %llu bytes, but its shape needs %llu", e->name,
                       (unsigned long long)(e->end - e->begin), (unsigned long long)bytes);
    if (!pf_slice_part(data, e->begin, bytes, &part))
        return pf_fail(error,
                       "the tensor %.200s (%llu bytes at %llu) reaches beyond the end of the file; "
                       "the file is truncated or damaged",
                       e->name, (unsigned long long)bytes, (unsigned long long)e->begin);
    return true;
}

static bool read_entry(const char *name, const json_t *value, pf_slice data, entry *e,
                       pf_error *error) {
    const char *type = json_string_value(json_object_get(value, "dtype"));
    *e = (entry){.name = name, .type = find_dtype(type)};
    if (!e->type)
        return pf_fail(
            error,
            "the tensor %.200s is of type %.40s, which is not supported; supported: F32, "
            "F16 and BF16",
            name, type ? type : "unknown");
    return read_shape(json_object_get(value, "shape"), e, error) &&
           read_extent(json_object_get(value, "data_offsets"), data, e, error);
}

/* ---- one file ---- */

typedef struct {
    uint64_t begin, end;
    const char *name;
} extent;

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static bool check_overlaps(extent *extents, size_t n, pf_error *error) {
    qsort(extents, n, sizeof *extents, compare_extents);
    for (size_t i = 1; i < n; i++)
        if (extents[i].begin < extents[i - 1].end)
            return pf_fail(error, "the tensors %.100s and %.100s overlap", extents[i - 1].name,
                           extents[i].name);
    return true;
}

static bool add_entries(json_t *header, pf_slice data, extent *extents, pf_checkpoint *checkpoint,
                        pf_error *error) {
    const char *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach(header, name, value) {
        entry e;
        pf_slice part;
        if (strcmp(name, "__metadata__") == 0) continue;
        if (!read_entry(name, value, data, &e, error)) return false;
        extents[n++] = (extent){e.begin, e.end, name};
        if (!e.type->is_weight) continue;
        pf_slice_part(data, e.begin, e.end - e.begin, &part); /* read_extent has checked it */
        if (!pf_checkpoint_add_tensor(checkpoint, name, e.type->type, e.n_dims, e.shape, part.data,
                                      part.size, error))
            return false;
    }
    return check_overlaps(extents, n, error);
}

bool pf_safetensors_sniff(pf_slice bytes) {
    size_t at = LENGTH_BYTES + 1;
    if (bytes.size <= at || bytes.data[LENGTH_BYTES] != '{') return false;
    while (at < bytes.size && at < 64 && strchr(" \t\r\n", bytes.data[at]) && bytes.data[at]) at++;
    return at < bytes.size && (bytes.data[at] == '"' || bytes.data[at] == '}');
}

bool pf_safetensors_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error) {
    uint64_t size = 0;
    pf_slice header, data;
    if (bytes.size < LENGTH_BYTES) return pf_fail(error, "this is not a safetensors file");
    memcpy(&size, bytes.data, sizeof size); /* little-endian, as gguf.c requires */
    if (!pf_slice_part(bytes, LENGTH_BYTES, size, &header))
        return pf_fail(error,
                       "the safetensors header should have %llu bytes, which is more than the file "
                       "has; the file is truncated or damaged",
                       (unsigned long long)size);
    pf_slice_part(bytes, LENGTH_BYTES + size, bytes.size - LENGTH_BYTES - header.size, &data);
    json_t *root = pf_json_parse(header, HEADER_LIMITS, error);
    if (!root) return pf_fail(error, "the safetensors header: %s", error ? error->message : "");
    extent *extents =
        pf_calloc(json_object_size(root), sizeof *extents, "a table of tensors", error);
    bool good = extents && add_entries(root, data, extents, checkpoint, error);
    pf_free(extents);
    json_decref(root);
    return good;
}

/* ---- a folder ---- */

typedef struct {
    char text[4096];
} path;

static bool join(const char *folder, const char *name, path *full, pf_error *error) {
    int n = snprintf(full->text, sizeof full->text, "%s/%s", folder, name);
    if (n > 0 && (size_t)n < sizeof full->text) return true;
    return pf_fail(error, "the path of %.80s in %.200s is too long", name, folder);
}

static bool read_file(const char *folder, const char *name, pf_checkpoint *checkpoint,
                      pf_error *error) {
    pf_error reason = {""};
    pf_file file;
    path full = {""};
    if (!join(folder, name, &full, error) || !pf_file_open(full.text, &file, error)) return false;
    bool good = pf_placeholder_check(file.bytes, &reason) &&
                pf_safetensors_read(file.bytes, checkpoint, &reason) &&
                pf_checkpoint_take_file(checkpoint, &file, &reason);
    pf_file_close(&file); /* zeroed if it was taken */
    return good || pf_fail(error, "%s: %s", full.text, reason.message);
}

/* True for the name of a file in the folder itself, which is not hidden. */
static bool is_plain_name(const char *name) {
    return name && name[0] && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

static bool read_shards(const char *folder, json_t *index, pf_checkpoint *checkpoint,
                        pf_error *error) {
    json_t *map = json_object_get(index, "weight_map"), *file, *seen = json_object();
    const char *tensor;
    bool good = seen != NULL || pf_fail(error, "there is not enough memory for the list of shards");
    if (good && json_object_size(map) == 0)
        good = pf_fail(error, "%.300s: model.safetensors.index.json has no weight_map", folder);
    json_object_foreach(map, tensor, file) {
        const char *name = json_string_value(file);
        if (!good) break;
        if (!is_plain_name(name)) {
            good = pf_fail(
                error,
                "%.200s: model.safetensors.index.json puts the tensor %.80s into \"%.80s\", "
                "which is not the name of a file in this folder",
                folder, tensor, name ? name : "?");
        } else if (!json_object_get(seen, name)) {
            good = json_object_set_new(seen, name, json_true()) == 0 &&
                   (json_object_size(seen) <= MAX_SHARDS ||
                    pf_fail(error, "%.300s: model.safetensors.index.json names more than %d files",
                            folder, MAX_SHARDS)) &&
                   read_file(folder, name, checkpoint, error);
        }
    }
    json_decref(seen);
    return good;
}

bool pf_safetensors_read_folder(const char *folder, pf_checkpoint *checkpoint, pf_error *error) {
    path single = {""}, index = {""};
    if (!join(folder, "model.safetensors", &single, error) ||
        !join(folder, "model.safetensors.index.json", &index, error))
        return false;
    if (access(single.text, F_OK) == 0)
        return read_file(folder, "model.safetensors", checkpoint, error);
    if (access(index.text, F_OK) != 0)
        return pf_fail(error,
                       "%.300s: this folder has neither model.safetensors nor "
                       "model.safetensors.index.json, so there are no weights to read",
                       folder);
    json_t *root = pf_json_open(index.text, INDEX_LIMITS, error);
    bool good = root && read_shards(folder, root, checkpoint, error);
    json_decref(root);
    return good;
}
