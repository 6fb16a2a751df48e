/* floor 5.3 - line input: lines with editing and history at a terminal, or plain from a pipe. */
#ifndef LINE_INPUT_H
#define LINE_INPUT_H

#include "error.h"

#include <stddef.h>

typedef struct line_input line_input;

/* Offers line editing and history if standard input and output are a terminal. */
line_input *line_input_new(const char *prompt, pf_error *error);
void line_input_free(line_input *input); /* restores the terminal; NULL is allowed */

typedef enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END } line_result;

/* Sets *line to the next line without its newline: *n bytes, then a NUL; borrowed until the next
 * call. LINE_INTERRUPTED: Ctrl-C discarded the line. */
line_result line_input_read(line_input *input, const char **line, size_t *n);

#endif
