/* floor 4.0 - config file: --config FILE.json, what a checkpoint of another project cannot say of itself. */
#ifndef PF_CONFIG_FILE_H
#define PF_CONFIG_FILE_H

#include "error.h"

#include <jansson.h>

#include <stdint.h>

/* The file's object. NULL with a sentence that names the file, and the line of an error. Free with
 * json_decref. */
json_t *pf_config_open(const char *path, pf_error *error);

/* One entry of the object (a NULL object has none): false with a message naming it if it is of another
 * kind or out of range; true and *value unchanged if it is absent or null. Texts are borrowed. */
bool pf_config_u32(const json_t *config, const char *name, uint32_t *value, pf_error *error);
bool pf_config_f32(const json_t *config, const char *name, float *value, pf_error *error);
bool pf_config_bool(const json_t *config, const char *name, bool *value, pf_error *error);
bool pf_config_text(const json_t *config, const char *name, const char **value, pf_error *error);

#endif
