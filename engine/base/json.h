/* floor 0.3 - JSON: untrusted files, parsed within limits checked before anything is built. */
#ifndef PF_JSON_H
#define PF_JSON_H

#include "file.h"

#include <jansson.h>

/* The most that a document may contain. jansson takes some 50 to 100 bytes for each value, so
 * max_values bounds the memory whatever the file contains. */
typedef struct pf_json_limits {
    size_t max_bytes, max_values, max_depth;
} pf_json_limits;

#define PF_JSON_SMALL ((pf_json_limits){(size_t)4 << 20, (size_t)1 << 17, 32}) /* config.json */

/* Parses a document that must be a single object; free it with json_decref. Duplicate names,
 * invalid UTF-8 and text after the end are errors. A whole number that does not fit 64 bits becomes
 * a real. NULL with a message that gives the place, but not the file. */
json_t *pf_json_parse(pf_slice bytes, pf_json_limits limits, pf_error *error);

/* Does the same for a file; its messages begin with the path. */
json_t *pf_json_open(const char *path, pf_json_limits limits, pf_error *error);

#endif
