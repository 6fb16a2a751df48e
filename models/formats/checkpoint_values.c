/* floor 3.0 - checkpoint values: sets and reads metadata as C types.
 *
 * The second half of checkpoint.h. It knows nothing of the checkpoint's inside, and uses only
 * pf_checkpoint_put_meta and pf_checkpoint_find_meta.
 */
#include "checkpoint.h"

#include "memory.h"

#include <math.h>
#include <string.h>

/* ---- setting ---- */

/* A copy that the checkpoint owns. */
static void *copy_bytes(pf_checkpoint *checkpoint, const void *bytes, size_t size,
                        pf_error *error) {
    void *copy = pf_checkpoint_alloc(checkpoint, size, "a checkpoint's metadata", error);
    if (copy && size > 0) memcpy(copy, bytes, size);
    return copy;
}

static bool set(pf_checkpoint *checkpoint, const char *key, pf_meta meta, pf_error *error) {
    return pf_checkpoint_put_meta(checkpoint, key, strlen(key), meta, error);
}

bool pf_checkpoint_set_u32(pf_checkpoint *checkpoint, const char *key, uint32_t value,
                           pf_error *error) {
    return set(checkpoint, key, (pf_meta){.type = PF_META_U32, .count = 1, .value.u = value},
               error);
}

bool pf_checkpoint_set_u64(pf_checkpoint *checkpoint, const char *key, uint64_t value,
                           pf_error *error) {
    return set(checkpoint, key, (pf_meta){.type = PF_META_U64, .count = 1, .value.u = value},
               error);
}

bool pf_checkpoint_set_f32(pf_checkpoint *checkpoint, const char *key, float value,
                           pf_error *error) {
    return set(checkpoint, key,
               (pf_meta){.type = PF_META_F32, .count = 1, .value.f = (double)value}, error);
}

bool pf_checkpoint_set_bool(pf_checkpoint *checkpoint, const char *key, bool value,
                            pf_error *error) {
    return set(checkpoint, key, (pf_meta){.type = PF_META_BOOL, .count = 1, .value.u = value},
               error);
}

bool pf_checkpoint_set_text(pf_checkpoint *checkpoint, const char *key, const char *bytes,
                            size_t size, pf_error *error) {
    char *copy = copy_bytes(checkpoint, bytes, size, error);
    if (!copy) return false;
    return set(checkpoint, key,
               (pf_meta){.type = PF_META_STRING, .count = 1, .value.text = {copy, size}}, error);
}

bool pf_checkpoint_set_texts(pf_checkpoint *checkpoint, const char *key, const pf_text *texts,
                             size_t count, pf_error *error) {
    size_t bytes = 0, table = 0;
    for (size_t i = 0; i < count; i++) bytes += texts[i].size;
    if (!pf_mul_size(count, sizeof(pf_text), &table))
        return pf_fail(error, "the array %s is too long", key);
    pf_text *copies = pf_checkpoint_alloc(checkpoint, table, "a checkpoint's texts", error);
    char *next = pf_checkpoint_alloc(checkpoint, bytes, "a checkpoint's texts", error);
    if (!copies || !next) return false;
    for (size_t i = 0; i < count; i++) {
        copies[i] = (pf_text){next, texts[i].size};
        if (texts[i].size > 0) memcpy(next, texts[i].bytes, texts[i].size);
        next += texts[i].size;
    }
    return set(checkpoint, key,
               (pf_meta){.type = PF_META_ARRAY,
                         .element_type = PF_META_STRING,
                         .count = count,
                         .value.texts = copies},
               error);
}

bool pf_checkpoint_set_array(pf_checkpoint *checkpoint, const char *key, pf_meta_type element_type,
                             const void *values, size_t count, pf_error *error) {
    size_t bytes = 0;
    if (!pf_mul_size(count, pf_meta_type_bytes(element_type), &bytes))
        return pf_fail(error, "the array %s is too long", key);
    char *copy = copy_bytes(checkpoint, values, bytes, error);
    if (!copy) return false;
    return set(checkpoint, key,
               (pf_meta){.type = PF_META_ARRAY,
                         .element_type = element_type,
                         .count = count,
                         .value.array = copy},
               error);
}

/* ---- reading ---- */

size_t pf_meta_type_bytes(pf_meta_type type) {
    static const uint8_t bytes[PF_META_TYPE_COUNT] = {
        [PF_META_U8] = 1,  [PF_META_I8] = 1,  [PF_META_U16] = 2, [PF_META_I16] = 2,
        [PF_META_U32] = 4, [PF_META_I32] = 4, [PF_META_F32] = 4, [PF_META_BOOL] = 1,
        [PF_META_U64] = 8, [PF_META_I64] = 8, [PF_META_F64] = 8,
    };
    return type < PF_META_TYPE_COUNT ? bytes[type] : 0;
}

static const char *type_name(pf_meta_type type) {
    static const char *const names[PF_META_TYPE_COUNT] = {
        [PF_META_U8] = "u8",       [PF_META_I8] = "i8",     [PF_META_U16] = "u16",
        [PF_META_I16] = "i16",     [PF_META_U32] = "u32",   [PF_META_I32] = "i32",
        [PF_META_F32] = "f32",     [PF_META_BOOL] = "bool", [PF_META_STRING] = "string",
        [PF_META_ARRAY] = "array", [PF_META_U64] = "u64",   [PF_META_I64] = "i64",
        [PF_META_F64] = "f64",
    };
    return names[type];
}

static bool wrong_type(const pf_meta *meta, const char *wanted, pf_error *error) {
    return pf_fail(error, "the metadata key %s is of type %s, but should be %s", meta->key,
                   type_name(meta->type), wanted);
}

bool pf_checkpoint_get_u64(const pf_checkpoint *checkpoint, const char *key, uint64_t *value,
                           pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    if (!meta) return true;
    switch (meta->type) {
    case PF_META_U8:
    case PF_META_U16:
    case PF_META_U32:
    case PF_META_U64:
        *value = meta->value.u;
        return true;
    case PF_META_I8:
    case PF_META_I16:
    case PF_META_I32:
    case PF_META_I64:
        if (meta->value.i < 0)
            return pf_fail(error, "the metadata key %s is %lld, but should not be negative", key,
                           (long long)meta->value.i);
        *value = (uint64_t)meta->value.i;
        return true;
    default:
        return wrong_type(meta, "an integer", error);
    }
}

bool pf_checkpoint_get_u32(const pf_checkpoint *checkpoint, const char *key, uint32_t *value,
                           pf_error *error) {
    uint64_t wide = *value;
    if (!pf_checkpoint_get_u64(checkpoint, key, &wide, error)) return false;
    if (wide > UINT32_MAX)
        return pf_fail(error, "the metadata key %s is %llu, which is too large", key,
                       (unsigned long long)wide);
    *value = (uint32_t)wide;
    return true;
}

bool pf_checkpoint_get_f32(const pf_checkpoint *checkpoint, const char *key, float *value,
                           pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    if (!meta) return true;
    if (meta->type != PF_META_F32 && meta->type != PF_META_F64)
        return wrong_type(meta, "a floating-point number (f32)", error);
    float narrow = (float)meta->value.f;
    if (!isfinite(narrow))
        return pf_fail(error, "the metadata key %s is %g, but should be a finite number", key,
                       meta->value.f);
    *value = narrow;
    return true;
}

bool pf_checkpoint_get_bool(const pf_checkpoint *checkpoint, const char *key, bool *value,
                            pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    if (!meta) return true;
    if (meta->type != PF_META_BOOL) return wrong_type(meta, "bool", error);
    *value = meta->value.u != 0;
    return true;
}

bool pf_checkpoint_get_text(const pf_checkpoint *checkpoint, const char *key, pf_text *value,
                            pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    if (!meta) return true;
    if (meta->type != PF_META_STRING) return wrong_type(meta, "string", error);
    *value = meta->value.text;
    return true;
}

bool pf_checkpoint_get_array(const pf_checkpoint *checkpoint, const char *key,
                             pf_meta_type element_type, const void **values, size_t *count,
                             pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    if (!meta) return true;
    if (meta->type != PF_META_ARRAY || meta->element_type != element_type)
        return pf_fail(error, "the metadata key %s should be an array of %s", key,
                       type_name(element_type));
    *values = element_type == PF_META_STRING ? meta->value.texts : meta->value.array;
    *count = meta->count;
    return true;
}
