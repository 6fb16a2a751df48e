/* floor 3.9 - Jinja: runs the language in which models write their chat templates.
 *
 *   pf_jinja *jinja = pf_jinja_parse(source, size, error);
 *   pf_jinja_render(jinja, messages, n, variables, n_variables, &limits, &text, error);
 *   pf_jinja_free(jinja);
 *
 * The language is that of Python's jinja2 as transformers sets it up: trim_blocks, lstrip_blocks,
 * break and continue, generation tags, tojson that escapes nothing, raise_exception, strftime_now,
 * and a sandbox in which no value can be changed. There is no import, include, extends or block,
 * and no recursive loop: a chat template is one file. Integers have 64 bits.
 *
 * A template is part of a file that anybody may have written: parsing and rendering are bounded in
 * memory, steps, depth and output, and a template can reach nothing but its own variables.
 */
#ifndef PF_JINJA_H
#define PF_JINJA_H

#include "buffer.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pf_jinja pf_jinja;

/* A variable of the template. With fields, it is a dictionary; with items, a list. */
typedef struct pf_jinja_variable {
    const char *name; /* NULL for an item of a list */
    enum {
        PF_JINJA_NONE,
        PF_JINJA_TRUE,
        PF_JINJA_FALSE,
        PF_JINJA_TEXT,
        PF_JINJA_DICT,
        PF_JINJA_LIST
    } kind;
    const char *text; /* [size] */
    size_t size;
    const struct pf_jinja_variable *parts; /* [n_parts]: fields or items */
    size_t n_parts;
} pf_jinja_variable;

typedef struct pf_jinja_limits {
    size_t memory, output; /* bytes */
    size_t steps;
    int64_t now; /* for strftime_now: seconds since 1970 */
} pf_jinja_limits;

/* NULL with "line N: ..." if the source [size bytes] is no template. */
pf_jinja *pf_jinja_parse(const char *source, size_t size, pf_error *error);
void pf_jinja_free(pf_jinja *jinja); /* NULL is allowed */

/* Appends the text to *out. False with "line N: ..." if the template fails, or refuses:
 * *refused (NULL is allowed) tells whether it called raise_exception, whose message it then is.
 * A parsed template may be rendered by several threads at once. */
bool pf_jinja_render(const pf_jinja *jinja, const pf_jinja_variable *variables, size_t n_variables,
                     const pf_jinja_limits *limits, pf_buffer *out, bool *refused, pf_error *error);

#endif
