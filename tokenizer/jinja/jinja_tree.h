/* floor 3.1 - Jinja tree: a template after parsing.
 *
 * One kind of node for all: the parts a to d mean what the list below says. Lists of nodes are
 * chained by `next`. The tree lies in the heap of the template.
 */
#ifndef PF_JINJA_TREE_H
#define PF_JINJA_TREE_H

#include "jinja_value.h"

typedef enum jinja_node_kind {
    /* Expressions. */
    NODE_LITERAL,         /* literal */
    NODE_NAME,            /* text */
    NODE_LIST,            /* a: items */
    NODE_TUPLE,           /* a: items */
    NODE_DICT,            /* a: key, value, key, value ... */
    NODE_NOT,             /* a */
    NODE_NEGATE,          /* a */
    NODE_PLUS,            /* a */
    NODE_AND,             /* a, b */
    NODE_OR,              /* a, b */
    NODE_BINARY,          /* a, text: + - * / // % ** ~, b */
    NODE_COMPARE,         /* a, then b: NODE_OPERAND ... */
    NODE_OPERAND,         /* text: == != < <= > >= in "not in", a */
    NODE_CHOICE,          /* b if a else c; c may be NULL */
    NODE_ATTRIBUTE,       /* a.text */
    NODE_ITEM,            /* a[b] */
    NODE_SLICE,           /* a[b:c:d]; b to d may be NULL */
    NODE_CALL,            /* a(b: arguments) */
    NODE_FILTER,          /* a | text(b: arguments); a is NULL in the chain of a block */
    NODE_TEST,            /* a is text(b: arguments) */
    NODE_KEYWORD,         /* text=a, an argument */
    NODE_SPREAD,          /* *a, arguments */
    NODE_SPREAD_KEYWORDS, /* **a, arguments */
    /* Statements. */
    NODE_DATA,         /* text */
    NODE_PRINT,        /* a */
    NODE_IF,           /* a: condition, b: body, c: else */
    NODE_FOR,          /* a: target, b: what, c: condition or NULL, d: else, body */
    NODE_SET,          /* a: target, b: value */
    NODE_SET_BLOCK,    /* a: target, b: filters or NULL, body */
    NODE_MACRO,        /* text, a: NODE_KEYWORD ... (a of it: the default or NULL), body */
    NODE_CALL_BLOCK,   /* a: the call, b: parameters as a macro's, body */
    NODE_FILTER_BLOCK, /* b: filters, body */
    NODE_WITH,         /* a: target, value, target, value ...; body */
    NODE_BREAK,
    NODE_CONTINUE,
} jinja_node_kind;

typedef struct jinja_node {
    jinja_node_kind kind;
    int line;
    jinja_string text;
    jinja_value literal;
    struct jinja_node *a, *b, *c, *d, *body, *next;
} jinja_node;

#endif
