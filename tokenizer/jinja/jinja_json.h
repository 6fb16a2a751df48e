/* floor 3.2 - Jinja JSON: the filter tojson, as transformers defines it: json.dumps. */
#ifndef PF_JINJA_JSON_H
#define PF_JINJA_JSON_H

#include "jinja_text.h"

typedef struct jinja_json_options {
    bool ascii; /* characters beyond ASCII as \uXXXX */
    bool sort_keys;
    bool lines;          /* an item per line, indented */
    jinja_string indent; /* ... by this for each level */
    jinja_string comma, colon;
} jinja_json_options;

bool pf_jinja_add_json(jinja_builder *builder, const jinja_value *value,
                       const jinja_json_options *options);

#endif
