/* floor 3.3 - strided: a tensor as PyTorch stores it, a view with strides of a flat storage. */
#include "strided.h"

#include <string.h>

static const uint8_t element_bytes[] = {
    [PF_STORAGE_F32] = 4, [PF_STORAGE_F16] = 2,  [PF_STORAGE_BF16] = 2, [PF_STORAGE_F64] = 8,
    [PF_STORAGE_I64] = 8, [PF_STORAGE_I32] = 4,  [PF_STORAGE_I16] = 2,  [PF_STORAGE_I8] = 1,
    [PF_STORAGE_U8] = 1,  [PF_STORAGE_BOOL] = 1,
};

bool pf_strided_check(const pf_strided *view, uint64_t storage_bytes, uint64_t *count) {
    uint64_t elements = storage_bytes / element_bytes[view->type], last = view->offset;
    *count = 1;
    for (int i = 0; i < PF_MAX_DIMS; i++) {
        uint64_t step;
        if (__builtin_mul_overflow(view->shape[i] - 1, view->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last) ||
            __builtin_mul_overflow(*count, view->shape[i], count))
            return false;
    }
    return last < elements && *count <= elements;
}

static bool is_kept(pf_storage_type type) {
    return type == PF_STORAGE_F32 || type == PF_STORAGE_F16 || type == PF_STORAGE_BF16;
}

pf_type pf_strided_type(const pf_strided *view) {
    if (view->type == PF_STORAGE_F16) return PF_F16;
    return view->type == PF_STORAGE_BF16 ? PF_BF16 : PF_F32;
}

bool pf_strided_is_plain(const pf_strided *view) {
    uint64_t expected = 1;
    if (!is_kept(view->type)) return false;
    for (int i = 0; i < PF_MAX_DIMS; i++) {
        if (view->shape[i] != 1 && view->stride[i] != expected) return false;
        expected *= view->shape[i];
    }
    return true;
}

uint64_t pf_strided_extent(const pf_strided *view, uint64_t *first) {
    uint64_t size = element_bytes[view->type], last = 0;
    for (int i = 0; i < PF_MAX_DIMS; i++) last += (view->shape[i] - 1) * view->stride[i];
    *first = view->offset * size;
    return (last + 1) * size;
}

/* The element at `from` as float32. */
static float number(pf_storage_type type, const void *from) {
    union {
        double f64;
        int64_t i64;
        int32_t i32;
        int16_t i16;
        int8_t i8;
        uint8_t u8;
    } value;
    memcpy(&value, from, element_bytes[type]);
    switch (type) {
    case PF_STORAGE_F64:
        return (float)value.f64;
    case PF_STORAGE_I64:
        return (float)value.i64;
    case PF_STORAGE_I32:
        return (float)value.i32;
    case PF_STORAGE_I16:
        return value.i16;
    case PF_STORAGE_I8:
        return value.i8;
    default:
        return value.u8;
    }
}

void pf_strided_gather(const pf_strided *view, const void *bytes, void *out) {
    const char *from = bytes;
    char *to = out;
    size_t size = element_bytes[view->type], kept = is_kept(view->type);
    uint64_t i[PF_MAX_DIMS];
    for (i[3] = 0; i[3] < view->shape[3]; i[3]++)
        for (i[2] = 0; i[2] < view->shape[2]; i[2]++)
            for (i[1] = 0; i[1] < view->shape[1]; i[1]++)
                for (i[0] = 0; i[0] < view->shape[0]; i[0]++) {
                    uint64_t at = 0;
                    for (int d = 0; d < PF_MAX_DIMS; d++) at += i[d] * view->stride[d];
                    if (kept) {
                        memcpy(to, from + at * size, size);
                        to += size;
                    } else {
                        float value = number(view->type, from + at * size);
                        memcpy(to, &value, sizeof value);
                        to += sizeof value;
                    }
                }
}
