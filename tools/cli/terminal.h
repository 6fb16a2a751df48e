/* floor 5.2 - terminal: standard output for the product, standard error for everything else, signals. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include "options.h"

#include <jansson.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* To be called once, before anything else: a closed pipe is an error of write, not a signal; and
 * Ctrl-C removes half-written files before it ends the program. */
void terminal_start(void);
/* The file that is mapped while the program runs, for the sentence that ends it if the file is truncated
 * meanwhile. Borrowed. */
void terminal_reading(const char *path);
/* From now on the first Ctrl-C only sets a flag, for a command that can end with what it has. */
void terminal_catch_interrupt(void);
bool terminal_interrupted(void);
/* From now on every Ctrl-C only sets the flag, and interrupts a read; forget clears the flag. */
void terminal_keep_interrupts(void);
void terminal_forget_interrupt(void);
/* Before something changes how the terminal reads: signals that end the program put it back. */
void terminal_remember_mode(void);

/* "performer COMMAND: sentence" on standard error; return EXIT_FAILED and EXIT_USAGE. */
int complain(const pf_error *error);
int complain_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line on standard error, unless --quiet. */
void note(const options *parsed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line that the next one overwrites; only where standard error is a terminal. An empty text clears
 * it. */
void progress(const options *parsed, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Standard output. After the first failure nothing more is written. Zero it to begin. */
typedef struct output {
    int failure;     /* errno of the first failed write, 0: none */
    bool unbuffered; /* flush after every write (set it where a person watches) */
} output;
bool output_is_terminal(void);
bool output_write(output *out, const char *bytes, size_t n);
bool output_printf(output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints and frees `json`; a NULL one (out of memory) is a failure. */
bool output_json(output *out, json_t *json);
/* Flushes and returns the program's exit status. A reader that went away ends it quietly. */
int output_finish(output *out);

/* A JSON string of bytes that need not be UTF-8: what is not becomes U+FFFD. */
json_t *json_text(const char *bytes, size_t n);

#endif
