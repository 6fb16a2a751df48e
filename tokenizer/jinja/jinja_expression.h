/* floor 3.3 - Jinja expressions: the parser of what stands inside of tags.
 *
 * Each function reads tokens from parser->at on and returns a node, or NULL with a message.
 */
#ifndef PF_JINJA_EXPRESSION_H
#define PF_JINJA_EXPRESSION_H

#include "jinja_lexer.h"
#include "jinja_tree.h"

typedef struct jinja_parser {
    jinja_heap *heap;
    const jinja_token *at; /* the next token; the last one is TOKEN_END */
    int depth;             /* nested expressions and blocks */
    int loops;             /* nested loops, for break and continue */
} jinja_parser;

enum { JINJA_PARSE_DEPTH = 200 };

/* An expression, `b if a else c` included; or one without, as `for x in` takes it. */
jinja_node *pf_jinja_parse_expression(jinja_parser *parser, bool choice);
/* The same; with commas, a tuple. */
jinja_node *pf_jinja_parse_tuple(jinja_parser *parser, bool choice);
/* A name, or names with commas; attributes (ns.x) if `set` may change them. */
jinja_node *pf_jinja_parse_target(jinja_parser *parser, bool attribute);
/* Filters with their bars: `| trim | upper`. *filters: NULL if there are none. */
bool pf_jinja_parse_filters(jinja_parser *parser, jinja_node *first, jinja_node **filters);
/* One filter, the bar before it already read, on node a (or NULL). */
jinja_node *pf_jinja_parse_filter(jinja_parser *parser, jinja_node *a);

jinja_node *pf_jinja_node(jinja_parser *parser, jinja_node_kind kind);
bool pf_jinja_accept(jinja_parser *parser, const char *operator);
bool pf_jinja_accept_name(jinja_parser *parser, const char *name);
bool pf_jinja_expect(jinja_parser *parser, const char *operator);
bool pf_jinja_at_name(const jinja_parser *parser, const char *name);
bool pf_jinja_expected(jinja_parser *parser, const char *what); /* fails, naming the token */

#endif
