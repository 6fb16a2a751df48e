/* floor 3.4 - Jinja parser: a template's text -> its tree. */
#ifndef PF_JINJA_PARSER_H
#define PF_JINJA_PARSER_H

#include "jinja_tree.h"

/* *body: the statements, chained. The tree lies in the heap. False with a message "line N: ..." if
 * the template is not one. */
bool pf_jinja_parse_template(jinja_heap *heap, const char *source, size_t size, jinja_node **body);

#endif
