/* floor 1.9 - KV cache: the keys and values that a head keeps exactly, in one of three types.
 *
 * A cache has a fixed number of slots in one block of memory, or grows with the text: then its
 * slots lie in the chunks of a pool, PF_KV_CHUNK to a chunk, and nothing moves when a chunk is
 * added. All growing caches of a session share one pool; a chunk of it holds the same slots of all
 * of them.
 */
#ifndef PF_KV_CACHE_H
#define PF_KV_CACHE_H

#include "attention_options.h"
#include "error.h"
#include "tensor.h"

enum { PF_KV_CHUNK = 256 }; /* slots of a growing cache that lie side by side */

/* Owned by the session; chunk_bytes is set once, before the first chunk. */
typedef struct pf_kv_pool {
    size_t chunk_bytes;
    size_t count, capacity; /* chunks; pointers that `chunks` has room for */
    void **chunks;
} pf_kv_pool;

/* Chunks for `n_slots` slots in all. False without memory; the chunks that are there stay. */
bool pf_kv_pool_reserve(pf_kv_pool *pool, size_t n_slots, pf_error *error);
void pf_kv_pool_free(pf_kv_pool *pool);

/* A view into the session's state, which owns the memory. */
typedef struct pf_kv_cache {
    pf_type type;           /* PF_F32, PF_F16 or PF_Q8_0 */
    size_t count, D;        /* slots (SIZE_MAX: it grows); head dim */
    void *keys, *values;    /* fixed: [count, D] each, of that type */
    const pf_kv_pool *pool; /* growing, otherwise NULL */
    size_t offset;          /* growing: of this cache's keys in a chunk; its values follow them */
} pf_kv_cache;

/* False, with a sentence, if rows of D numbers cannot be kept in this type. */
bool pf_kv_check(pf_kv_kind kind, size_t D, pf_error *error);
size_t pf_kv_bytes(pf_kv_kind kind, size_t count, size_t D); /* keys and values of `count` slots */
pf_kv_cache pf_kv_cache_at(float *memory, pf_kv_kind kind, size_t count, size_t D);
pf_kv_cache pf_kv_cache_growing(const pf_kv_pool *pool, size_t offset, pf_kv_kind kind, size_t D);
size_t pf_kv_cache_row_bytes(const pf_kv_cache *cache); /* one key, or one value */

void pf_kv_cache_put(const pf_kv_cache *cache, size_t slot, const float *key, const float *value);
void pf_kv_cache_get(const pf_kv_cache *cache, size_t slot, float *key, float *value);
/* Rounds a row [D] to what it would be after put and get. */
void pf_kv_cache_round(const pf_kv_cache *cache, float *row);

/* Where the rows of `count` slots from `first` on lie, for copies and snapshots. Returns how many
 * of them lie side by side there. */
size_t pf_kv_cache_span(const pf_kv_cache *cache, size_t first, size_t count, void **keys,
                        void **values);

/* How many of `count` slots from `first` on lie side by side: all, unless the cache grows. */
size_t pf_kv_cache_run(const pf_kv_cache *cache, size_t first, size_t count);
/* `count` slots from `first` on, which must lie side by side. */
pf_matrix pf_kv_cache_keys(const pf_kv_cache *cache, size_t first, size_t count);
pf_matrix pf_kv_cache_values(const pf_kv_cache *cache, size_t first, size_t count);

#endif
