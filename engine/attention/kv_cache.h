/* floor 1.9 - slots: the keys and values that a head keeps as they are, in float or half precision. */
#ifndef PF_KV_CACHE_H
#define PF_KV_CACHE_H

#include "attention_options.h"
#include "tensor.h"

/* A view into the session's state; all memory is the session's. */
typedef struct pf_kv_cache {
    pf_type type;        /* PF_F32 or PF_F16 */
    size_t count, D;     /* slots; head dim */
    void *keys, *values; /* [count, D] each, of that type */
} pf_kv_cache;

/* Floats of memory for keys and values of so many slots. */
size_t pf_kv_cache_floats(pf_kv_kind kind, size_t count, size_t D);
pf_kv_cache pf_kv_cache_at(float *memory, pf_kv_kind kind, size_t count, size_t D);
size_t pf_kv_cache_row_bytes(const pf_kv_cache *slots); /* one key, or one value */

void pf_kv_cache_put(const pf_kv_cache *slots, size_t slot, const float *key, const float *value);
void pf_kv_cache_get(const pf_kv_cache *slots, size_t slot, float *key, float *value);
/* What a row [D] would be after being put and got again. */
void pf_kv_cache_round(const pf_kv_cache *slots, float *row);

/* `count` slots from `first` on. */
pf_matrix pf_kv_cache_keys(const pf_kv_cache *slots, size_t first, size_t count);
pf_matrix pf_kv_cache_values(const pf_kv_cache *slots, size_t first, size_t count);

#endif
