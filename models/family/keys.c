/* floor 4.0 - keys: reads and checks hyperparameters of a family, such as llama.block_count. */
#include "keys.h"

#include <math.h>
#include <stdio.h>

pf_family_key pf_family_key_of(const char *family, const char *name) {
    pf_family_key key;
    snprintf(key.text, sizeof key.text, "%s.%s", family, name);
    return key;
}

static pf_family_key with_prefix(const pf_keys *keys, const char *name) {
    return pf_family_key_of(keys->prefix, name);
}

static bool must_be_there(const pf_keys *keys, const char *key) {
    if (pf_checkpoint_find_meta(keys->checkpoint, key)) return true;
    return pf_fail(keys->error, "the metadata key %s is missing", key);
}

bool pf_keys_u32(const pf_keys *keys, const char *name, uint32_t *value) {
    return pf_checkpoint_get_u32(keys->checkpoint, with_prefix(keys, name).text, value,
                                 keys->error);
}

bool pf_keys_bool(const pf_keys *keys, const char *name, bool *value) {
    return pf_checkpoint_get_bool(keys->checkpoint, with_prefix(keys, name).text, value,
                                  keys->error);
}

bool pf_keys_f32(const pf_keys *keys, const char *name, float *value) {
    return pf_checkpoint_get_f32(keys->checkpoint, with_prefix(keys, name).text, value,
                                 keys->error);
}

bool pf_keys_text(const pf_keys *keys, const char *name, pf_text *value) {
    return pf_checkpoint_get_text(keys->checkpoint, with_prefix(keys, name).text, value,
                                  keys->error);
}

bool pf_keys_size(const pf_keys *keys, const char *name, uint32_t limit, uint32_t *value) {
    pf_family_key key = with_prefix(keys, name);
    if (*value == 0 && !must_be_there(keys, key.text)) return false;
    if (!pf_keys_u32(keys, name, value)) return false;
    if (*value == 0 || *value > limit)
        return pf_fail(keys->error, "the metadata key %s is %u, but should be 1 to %u", key.text,
                       *value, limit);
    return true;
}

bool pf_keys_positive(const pf_keys *keys, const char *name, float *value) {
    pf_family_key key = with_prefix(keys, name);
    if (*value == 0 && !must_be_there(keys, key.text)) return false;
    if (!pf_keys_f32(keys, name, value)) return false;
    if (!(*value > 0) || !isfinite(*value))
        return pf_fail(keys->error,
                       "the metadata key %s is %g, but should be a finite number above 0", key.text,
                       (double)*value);
    return true;
}
