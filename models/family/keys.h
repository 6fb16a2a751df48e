/* floor 4.0 - keys: reads and checks hyperparameters of a family, such as llama.block_count. */
#ifndef PF_KEYS_H
#define PF_KEYS_H

#include "checkpoint.h"

/* A key of a family: "llama" and "block_count" make "llama.block_count". */
typedef struct pf_family_key {
    char text[96];
} pf_family_key;
pf_family_key pf_family_key_of(const char *family, const char *name);

/* What the functions below share. They take the names of keys without the prefix. */
typedef struct pf_keys {
    const pf_checkpoint *checkpoint;
    const char *prefix; /* "llama" */
    pf_error *error;
} pf_keys;

/* As pf_checkpoint_get_u32 and its kind: *value is unchanged if the key is absent. */
bool pf_keys_u32(const pf_keys *keys, const char *name, uint32_t *value);
bool pf_keys_bool(const pf_keys *keys, const char *name, bool *value);
bool pf_keys_f32(const pf_keys *keys, const char *name, float *value);
bool pf_keys_text(const pf_keys *keys, const char *name, pf_text *value);

/* A size from 1 to limit. *value is the default for an absent key; 0 means that it is required. */
bool pf_keys_size(const pf_keys *keys, const char *name, uint32_t limit, uint32_t *value);
/* A finite number above 0. *value is the default in the same way. */
bool pf_keys_positive(const pf_keys *keys, const char *name, float *value);

#endif
