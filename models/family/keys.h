/* floor 4.0 - keys: a family's hyperparameters, "llama.block_count" and its like, checked as they are read. */
#ifndef PF_KEYS_H
#define PF_KEYS_H

#include "checkpoint.h"

/* Where the readers below look and complain: keys are named without their prefix. */
typedef struct pf_keys {
    const pf_checkpoint *checkpoint;
    const char *prefix; /* "llama" */
    pf_error *error;
} pf_keys;

/* As pf_checkpoint_get_*: *value stays as it is where the key is absent. */
bool pf_keys_u32(const pf_keys *keys, const char *name, uint32_t *value);
bool pf_keys_f32(const pf_keys *keys, const char *name, float *value);
bool pf_keys_text(const pf_keys *keys, const char *name, pf_text *value);

/* A size in 1 ... limit; *value is the default, and 0 means that the key must be there. */
bool pf_keys_size(const pf_keys *keys, const char *name, uint32_t limit, uint32_t *value);
/* A finite number above 0, with a default in the same way. */
bool pf_keys_positive(const pf_keys *keys, const char *name, float *value);

#endif
