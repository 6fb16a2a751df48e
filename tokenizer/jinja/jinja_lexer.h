/* floor 3.2 - Jinja lexer: a template's text -> tokens.
 *
 * White space is treated as transformers has it: the newline behind a block is dropped
 * (trim_blocks), and so are blanks before a block that begins its line (lstrip_blocks).
 */
#ifndef PF_JINJA_LEXER_H
#define PF_JINJA_LEXER_H

#include "jinja_value.h"

typedef enum jinja_token_kind {
    TOKEN_DATA,        /* text between tags, as it is written */
    TOKEN_PRINT_BEGIN, /* {{ */
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN, /* {% */
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* text: with escapes resolved */
    TOKEN_NUMBER, /* text: digits, perhaps with a point or an exponent */
    TOKEN_OPERATOR,
    TOKEN_END,
} jinja_token_kind;

typedef struct jinja_token {
    jinja_token_kind kind;
    int line; /* from 1 */
    jinja_string text;
} jinja_token;

/* *tokens [*n] in the heap, the last one TOKEN_END. They borrow from a copy of source [size] in the
 * heap. False with a message "line N: ..." if the template cannot be cut into tokens. */
bool pf_jinja_lex(jinja_heap *heap, const char *source, size_t size, jinja_token **tokens,
                  size_t *n);

#endif
