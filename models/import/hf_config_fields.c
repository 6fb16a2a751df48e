/* floor 4.1 - Hugging Face config: its fields, read and checked, and GGUF's keys, set. */
#include "hf_config_private.h"

#include "keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIZE (1u << 28) /* of any field; family.c has tighter limits */

const json_t *pf_hf_field(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

bool pf_hf_size(const pf_hf_reader *r, const json_t *object, const char *name, uint32_t *value) {
    const json_t *found = pf_hf_field(object, name);
    json_int_t number = found ? json_integer_value(found) : (json_int_t)*value;
    if (!found && *value == 0) return pf_fail(r->error, "config.json has no \"%s\"", name);
    if ((found && !json_is_integer(found)) || number < 1 || number > MAX_SIZE)
        return pf_fail(r->error, "\"%s\" in config.json should be a whole number from 1 to %u",
                       name, MAX_SIZE);
    *value = (uint32_t)number;
    return true;
}

bool pf_hf_positive(const pf_hf_reader *r, const json_t *object, const char *name, double *value) {
    const json_t *found = pf_hf_field(object, name);
    if (!found && *value == 0) return pf_fail(r->error, "config.json has no \"%s\"", name);
    double number = found ? json_number_value(found) : *value;
    if ((found && !json_is_number(found)) || !(number > 0) || !isfinite((float)number) ||
        (float)number == 0)
        return pf_fail(r->error, "\"%s\" in config.json should be a finite number above 0", name);
    *value = number;
    return true;
}

bool pf_hf_true(const pf_hf_reader *r, const char *name, bool otherwise) {
    const json_t *found = pf_hf_field(r->config, name);
    return found ? json_is_true(found) : otherwise;
}

bool pf_hf_name(const pf_hf_reader *r, const char *name, const char *supported,
                const char **found) {
    const char *text = json_string_value(pf_hf_field(r->config, name));
    size_t n = text ? strlen(text) : 0;
    *found = text;
    if (!pf_hf_field(r->config, name)) return true;
    for (const char *at = supported; n > 0 && (at = strstr(at, text)); at += n)
        if ((at == supported || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) return true;
    return pf_fail(r->error,
                   "\"%s\" in config.json is \"%.40s\", which is not supported; supported: %s",
                   name, text ? text : "?", supported);
}

/* ---- keys ---- */

static pf_family_key key(const pf_hf_reader *r, const char *name) {
    return pf_family_key_of(r->family, name);
}

bool pf_hf_set_size(const pf_hf_reader *r, const char *name, uint32_t value) {
    return pf_checkpoint_set_u32(r->checkpoint, key(r, name).text, value, r->error);
}

bool pf_hf_set_float(const pf_hf_reader *r, const char *name, double value) {
    return pf_checkpoint_set_f32(r->checkpoint, key(r, name).text, (float)value, r->error);
}

bool pf_hf_set_bool(const pf_hf_reader *r, const char *name, bool value) {
    return pf_checkpoint_set_bool(r->checkpoint, key(r, name).text, value, r->error);
}

bool pf_hf_set_text(const pf_hf_reader *r, const char *name, const char *value) {
    return pf_checkpoint_set_text(r->checkpoint, key(r, name).text, value, strlen(value), r->error);
}

bool pf_hf_set_bools(const pf_hf_reader *r, const char *name, const bool *values, size_t n) {
    return pf_checkpoint_set_array(r->checkpoint, key(r, name).text, PF_META_BOOL, values, n,
                                   r->error);
}

bool pf_hf_take_size(const pf_hf_reader *r, const char *name, const char *target, uint32_t *value) {
    return pf_hf_size(r, r->config, name, value) && pf_hf_set_size(r, target, *value);
}
