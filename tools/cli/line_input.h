/* floor 5.3 - line input: what a person types or pastes, or plain lines from a pipe.
 *
 * An entry is a line. It has several lines if it was pasted as one text, if its lines end with a
 * backslash, or if it is a block from """ to """.
 */
#ifndef LINE_INPUT_H
#define LINE_INPUT_H

#include "error.h"

#include <stddef.h>

typedef struct line_input_options {
    const char *prompt, *more_prompt; /* for the first and for further lines of an entry */
    const char *completions; /* what Tab completes the beginning of an entry to: texts, each ended
                                by a NUL, then an empty one */
    const char *history;     /* a history file (history_file.h); NULL: none */
} line_input_options;

typedef struct line_input line_input;

/* Offers line editing and history if standard input and output are a terminal. What the options
 * point to must outlive it. A history file that cannot be read is an error. */
line_input *line_input_new(const line_input_options *wanted, pf_error *error);
void line_input_free(line_input *input); /* restores the terminal; NULL is allowed */

typedef enum line_result {
    LINE_READ,
    LINE_QUOTED,      /* a text from """ to """: never a command */
    LINE_INTERRUPTED, /* Ctrl-C discarded the entry */
    LINE_END,
    LINE_FAILED /* an error is set */
} line_result;

/* Sets *entry to the next entry without its last newline: *n bytes, then a NUL; borrowed until the
 * next call. If it cannot be added to the history file, that file is not used any more and *error
 * says why; *error is else unchanged unless the result is LINE_FAILED. */
line_result line_input_read(line_input *input, const char **entry, size_t *n, pf_error *error);

#endif
