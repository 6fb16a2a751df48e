/* floor 5.3 - line input: what a person types, edited and remembered at a terminal, or read from a pipe. */
#ifndef LINE_INPUT_H
#define LINE_INPUT_H

#include "error.h"

#include <stddef.h>

typedef struct line_input line_input;

/* With line editing and history if standard input and output are a terminal. */
line_input *line_input_new(const char *prompt, pf_error *error);
void line_input_free(line_input *input); /* the terminal is as it was; NULL is allowed */

typedef enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END } line_result;

/* The next line without its newline, borrowed until the next call, a NUL behind its *n bytes. Interrupted:
 * Ctrl-C threw the line away. */
line_result line_input_read(line_input *input, const char **line, size_t *n);

#endif
