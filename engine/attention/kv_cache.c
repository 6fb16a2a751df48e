/* floor 1.9 - KV cache: the keys and values that a head keeps exactly, in one of three types. */
#include "kv_cache.h"

#include "buffer.h"
#include "kernels.h"
#include "memory.h"
#include "quant.h"

#include <string.h>

static pf_type type_of(pf_kv_kind kind) {
    return kind == PF_KV_F16 ? PF_F16 : kind == PF_KV_Q8_0 ? PF_Q8_0 : PF_F32;
}

bool pf_kv_check(pf_kv_kind kind, size_t D, pf_error *error) {
    if (kind != PF_KV_Q8_0 || D % 32 == 0) return true;
    return pf_fail(error,
                   "--kv q8_0 needs heads of a multiple of 32 dims, and this model's have %zu: "
                   "choose f16 or f32",
                   D);
}

size_t pf_kv_bytes(pf_kv_kind kind, size_t count, size_t D) {
    return 2 * count * pf_row_bytes(type_of(kind), D);
}

/* ---- the pool ---- */

bool pf_kv_pool_reserve(pf_kv_pool *pool, size_t n_slots, pf_error *error) {
    size_t wanted = (n_slots + PF_KV_CHUNK - 1) / PF_KV_CHUNK;
    while (pool->chunk_bytes > 0 && pool->count < wanted) {
        void **chunks = pf_grow(pool->chunks, &pool->capacity, pool->count + 1,
                                sizeof *pool->chunks, "the KV cache", error);
        if (!chunks) return false;
        pool->chunks = chunks;
        void *chunk = pf_calloc(pool->chunk_bytes, 1, "the KV cache", error);
        if (!chunk) return false;
        pool->chunks[pool->count++] = chunk;
    }
    return true;
}

void pf_kv_pool_free(pf_kv_pool *pool) {
    for (size_t i = 0; i < pool->count; i++) pf_free(pool->chunks[i]);
    pf_free(pool->chunks);
    *pool = (pf_kv_pool){0};
}

/* ---- a cache ---- */

pf_kv_cache pf_kv_cache_at(float *memory, pf_kv_kind kind, size_t count, size_t D) {
    return (pf_kv_cache){.type = type_of(kind),
                         .count = count,
                         .D = D,
                         .keys = memory,
                         .values = (char *)memory + pf_kv_bytes(kind, count, D) / 2};
}

pf_kv_cache pf_kv_cache_growing(const pf_kv_pool *pool, size_t offset, pf_kv_kind kind, size_t D) {
    return (pf_kv_cache){
        .type = type_of(kind), .count = SIZE_MAX, .D = D, .pool = pool, .offset = offset};
}

size_t pf_kv_cache_row_bytes(const pf_kv_cache *cache) {
    return pf_row_bytes(cache->type, cache->D);
}

static void *key_at(const pf_kv_cache *cache, size_t slot) {
    size_t row = pf_kv_cache_row_bytes(cache);
    if (!cache->pool) return (char *)cache->keys + slot * row;
    char *chunk = cache->pool->chunks[slot / PF_KV_CHUNK];
    return chunk + cache->offset + slot % PF_KV_CHUNK * row;
}

static void *value_at(const pf_kv_cache *cache, size_t slot) {
    size_t row = pf_kv_cache_row_bytes(cache);
    if (!cache->pool) return (char *)cache->values + slot * row;
    return (char *)key_at(cache, slot) + PF_KV_CHUNK * row;
}

static void put(const pf_kv_cache *cache, void *to, const float *row) {
    if (cache->type == PF_F16)
        pf_kernels_get()->to_f16(to, row, cache->D);
    else
        pf_quantize_row(cache->type, row, to, cache->D);
}

void pf_kv_cache_put(const pf_kv_cache *cache, size_t slot, const float *key, const float *value) {
    put(cache, key_at(cache, slot), key);
    put(cache, value_at(cache, slot), value);
}

void pf_kv_cache_get(const pf_kv_cache *cache, size_t slot, float *key, float *value) {
    const pf_kernels *kernels = pf_kernels_get();
    kernels->dequantize_row(cache->type, key_at(cache, slot), key, cache->D);
    kernels->dequantize_row(cache->type, value_at(cache, slot), value, cache->D);
}

void pf_kv_cache_round(const pf_kv_cache *cache, float *row) {
    enum { PART = 64 }; /* a multiple of the block of Q8_0 */
    const pf_kernels *kernels = pf_kernels_get();
    uint16_t rounded[PART]; /* large enough for either type */
    if (cache->type == PF_F32) return;
    for (size_t d = 0, n; d < cache->D; d += n) {
        n = cache->D - d < PART ? cache->D - d : PART;
        if (cache->type == PF_F16)
            kernels->to_f16(rounded, row + d, n);
        else
            pf_quantize_row(cache->type, row + d, rounded, n);
        kernels->dequantize_row(cache->type, rounded, row + d, n);
    }
}

size_t pf_kv_cache_run(const pf_kv_cache *cache, size_t first, size_t count) {
    size_t left = PF_KV_CHUNK - first % PF_KV_CHUNK;
    return !cache->pool || count < left ? count : left;
}

size_t pf_kv_cache_span(const pf_kv_cache *cache, size_t first, size_t count, void **keys,
                        void **values) {
    *keys = key_at(cache, first);
    *values = value_at(cache, first);
    return pf_kv_cache_run(cache, first, count);
}

pf_matrix pf_kv_cache_keys(const pf_kv_cache *cache, size_t first, size_t count) {
    return (pf_matrix){cache->type, count, cache->D, key_at(cache, first)};
}

pf_matrix pf_kv_cache_values(const pf_kv_cache *cache, size_t first, size_t count) {
    return (pf_matrix){cache->type, count, cache->D, value_at(cache, first)};
}
