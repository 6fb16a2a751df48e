/* floor 1.9 - slots: the keys and values that a head keeps as they are, in float or half precision. */
#include "kv_cache.h"

#include "kernels.h"

#include <string.h>

static pf_type type_of(pf_kv_kind kind) { return kind == PF_KV_F16 ? PF_F16 : PF_F32; }

size_t pf_kv_cache_floats(pf_kv_kind kind, size_t count, size_t D) {
    return (2 * count * pf_row_bytes(type_of(kind), D) + sizeof(float) - 1) / sizeof(float);
}

pf_kv_cache pf_kv_cache_at(float *memory, pf_kv_kind kind, size_t count, size_t D) {
    pf_type type = type_of(kind);
    return (pf_kv_cache){type, count, D, memory, (char *)memory + count * pf_row_bytes(type, D)};
}

size_t pf_kv_cache_row_bytes(const pf_kv_cache *slots) {
    return pf_row_bytes(slots->type, slots->D);
}

static void *row_of(const pf_kv_cache *slots, void *rows, size_t slot) {
    return (char *)rows + slot * pf_kv_cache_row_bytes(slots);
}

static void put(const pf_kv_cache *slots, void *to, const float *row) {
    if (slots->type == PF_F16)
        pf_kernels_get()->to_f16(to, row, slots->D);
    else
        memcpy(to, row, slots->D * sizeof *row);
}

void pf_kv_cache_put(const pf_kv_cache *slots, size_t slot, const float *key, const float *value) {
    put(slots, row_of(slots, slots->keys, slot), key);
    put(slots, row_of(slots, slots->values, slot), value);
}

void pf_kv_cache_get(const pf_kv_cache *slots, size_t slot, float *key, float *value) {
    const pf_kernels *kernels = pf_kernels_get();
    kernels->dequantize_row(slots->type, row_of(slots, slots->keys, slot), key, slots->D);
    kernels->dequantize_row(slots->type, row_of(slots, slots->values, slot), value, slots->D);
}

void pf_kv_cache_round(const pf_kv_cache *slots, float *row) {
    enum { CHUNK = 64 };
    const pf_kernels *kernels = pf_kernels_get();
    uint16_t half[CHUNK];
    if (slots->type != PF_F16) return;
    for (size_t d = 0, n; d < slots->D; d += n) {
        n = slots->D - d < CHUNK ? slots->D - d : CHUNK;
        kernels->to_f16(half, row + d, n);
        kernels->dequantize_row(PF_F16, half, row + d, n);
    }
}

pf_matrix pf_kv_cache_keys(const pf_kv_cache *slots, size_t first, size_t count) {
    return (pf_matrix){slots->type, count, slots->D, row_of(slots, slots->keys, first)};
}

pf_matrix pf_kv_cache_values(const pf_kv_cache *slots, size_t first, size_t count) {
    return (pf_matrix){slots->type, count, slots->D, row_of(slots, slots->values, first)};
}
