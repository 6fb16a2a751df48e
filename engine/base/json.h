/* floor 0.3 - JSON: files of others, parsed within limits that are checked before anything is built. */
#ifndef PF_JSON_H
#define PF_JSON_H

#include "file.h"

#include <jansson.h>

/* What a document may have at most. A value costs jansson some 50 to 100 bytes, so max_values is what
 * bounds the memory, whatever the file says. */
typedef struct pf_json_limits {
    size_t max_bytes, max_values, max_depth;
} pf_json_limits;

#define PF_JSON_SMALL ((pf_json_limits){(size_t)4 << 20, (size_t)1 << 17, 32}) /* config.json */

/* The document, which must be one object; free with json_decref. Names that are there twice, invalid
 * UTF-8 and text behind the end are errors. NULL with a message that says where, but not the file. */
json_t *pf_json_parse(pf_slice bytes, pf_json_limits limits, pf_error *error);

/* The same for a file; messages begin with its path. */
json_t *pf_json_open(const char *path, pf_json_limits limits, pf_error *error);

#endif
