/* floor 4.0 - config file: --config FILE.json, which says what a checkpoint leaves out. */
#ifndef PF_CONFIG_FILE_H
#define PF_CONFIG_FILE_H

#include "error.h"

#include <jansson.h>

#include <stdint.h>

/* Returns the file's JSON object, to be freed with json_decref; or NULL with a message that names
 * the file, and the line if it is no valid JSON. */
json_t *pf_config_open(const char *path, pf_error *error);

/* Reads one entry. True, with *value unchanged, if the entry is absent or null, or `config` is
 * NULL. False, with a message that names the entry, if it has the wrong type or is out of range.
 * Strings are borrowed from `config`. */
bool pf_config_u32(const json_t *config, const char *name, uint32_t *value, pf_error *error);
bool pf_config_f32(const json_t *config, const char *name, float *value, pf_error *error);
bool pf_config_bool(const json_t *config, const char *name, bool *value, pf_error *error);
bool pf_config_text(const json_t *config, const char *name, const char **value, pf_error *error);

#endif
