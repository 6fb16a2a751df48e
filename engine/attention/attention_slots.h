/* floor 1.5 - slots: the keys and values that a head keeps as they are, in float or half precision. */
#ifndef PF_ATTENTION_SLOTS_H
#define PF_ATTENTION_SLOTS_H

#include "attention_options.h"
#include "tensor.h"

/* A view into the session's state; all memory is the session's. */
typedef struct pf_slots {
    pf_type type;        /* PF_F32 or PF_F16 */
    size_t count, D;     /* slots; head dim */
    void *keys, *values; /* [count, D] each, of that type */
} pf_slots;

/* Floats of memory for keys and values of so many slots. */
size_t pf_slots_floats(pf_kv_kind kind, size_t count, size_t D);
pf_slots pf_slots_at(float *memory, pf_kv_kind kind, size_t count, size_t D);
size_t pf_slots_row_bytes(const pf_slots *slots); /* one key, or one value */

void pf_slots_put(const pf_slots *slots, size_t slot, const float *key, const float *value);
void pf_slots_get(const pf_slots *slots, size_t slot, float *key, float *value);
/* What a row [D] would be after being put and got again. */
void pf_slots_round(const pf_slots *slots, float *row);

/* `count` slots from `first` on. */
pf_matrix pf_slots_keys(const pf_slots *slots, size_t first, size_t count);
pf_matrix pf_slots_values(const pf_slots *slots, size_t first, size_t count);

#endif
