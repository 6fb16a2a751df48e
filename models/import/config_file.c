/* floor 4.0 - config file: --config FILE.json, which says what a checkpoint leaves out. */
#include "config_file.h"

#include "file.h"

#include <math.h>

json_t *pf_config_open(const char *path, pf_error *error) {
    pf_file file;
    json_error_t where;
    if (!pf_file_open(path, &file, error)) return NULL;
    const char *text = file.bytes.size ? (const char *)file.bytes.data : "";
    json_t *config = json_loadb(text, file.bytes.size, JSON_REJECT_DUPLICATES, &where);
    if (!config)
        pf_fail(error, "%s, line %d: %s", path, where.line, where.text);
    else if (!json_is_object(config))
        pf_fail(error, "%s should contain one JSON object, {...}", path);
    pf_file_close(&file);
    if (json_is_object(config)) return config;
    json_decref(config);
    return NULL;
}

/* NULL if the entry is absent or null. */
static const json_t *entry(const json_t *config, const char *name) {
    const json_t *value = json_object_get(config, name);
    return json_is_null(value) ? NULL : value;
}

bool pf_config_u32(const json_t *config, const char *name, uint32_t *value, pf_error *error) {
    const json_t *found = entry(config, name);
    if (!found) return true;
    json_int_t number = json_is_integer(found) ? json_integer_value(found) : -1;
    if (number < 0 || number > UINT32_MAX)
        return pf_fail(error, "\"%s\" in the --config should be a whole number, 0 or more", name);
    *value = (uint32_t)number;
    return true;
}

bool pf_config_f32(const json_t *config, const char *name, float *value, pf_error *error) {
    const json_t *found = entry(config, name);
    if (!found) return true;
    if (!json_is_number(found) || !isfinite((float)json_number_value(found)))
        return pf_fail(error, "\"%s\" in the --config should be a number", name);
    *value = (float)json_number_value(found);
    return true;
}

bool pf_config_bool(const json_t *config, const char *name, bool *value, pf_error *error) {
    const json_t *found = entry(config, name);
    if (!found) return true;
    if (!json_is_boolean(found))
        return pf_fail(error, "\"%s\" in the --config should be true or false", name);
    *value = json_is_true(found);
    return true;
}

bool pf_config_text(const json_t *config, const char *name, const char **value, pf_error *error) {
    const json_t *found = entry(config, name);
    if (!found) return true;
    if (!json_is_string(found))
        return pf_fail(error, "\"%s\" in the --config should be a string", name);
    *value = json_string_value(found);
    return true;
}
