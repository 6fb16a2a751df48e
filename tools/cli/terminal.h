/* floor 5.2 - terminal: results to standard output, all else to standard error; signals. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include "options.h"

#include <jansson.h>

/* EXIT_INTERRUPTED: Ctrl-C came before the input was read, or all was measured; as a shell reports
 * it. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* Call this once, before anything else. From then on a closed pipe is a write error, not a signal,
 * and Ctrl-C removes half-written files before it ends the program. */
void terminal_start(void);
/* Names the file that stays mapped while the program runs, for the message that ends it if the file
 * is truncated meanwhile. Borrowed. */
void terminal_reading(const char *path);
/* From now on the first Ctrl-C, SIGTERM or SIGHUP only sets a flag: for commands that can stop
 * half-way and print or save what they have. After SIGTERM and SIGHUP the program ends by itself
 * unless it asks for the flag within ten seconds. */
void terminal_catch_interrupt(void);
bool terminal_interrupted(void);
/* The status to exit with: `status`, or 128 + the signal if SIGTERM or SIGHUP set the flag. */
int terminal_status(int status);
/* From now on every Ctrl-C only sets the flag, and interrupts a blocked read. */
void terminal_keep_interrupts(void);
void terminal_forget_interrupt(void); /* clears the flag */
/* Call this before changing the terminal's mode; signals that end or stop the program then restore
 * it. From now on Ctrl-Z, fg and a change of the terminal's size interrupt a blocked read, too. */
void terminal_remember_mode(void);
/* True once after the program was stopped and goes on; after the terminal's size has changed. */
bool terminal_resumed(void);
bool terminal_resized(void);
/* The terminal marks what is pasted (bracketed paste): on while lines are edited. */
void terminal_mark_pastes(bool on);
size_t terminal_columns(void); /* of standard output; 0 if it is no terminal or does not say */

/* Every line on standard error is one write. */

/* Print "performer: message" or "performer COMMAND: message" on standard error; return EXIT_FAILED
 * or EXIT_USAGE. */
int complain(const pf_error *error);
int complain_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints a line on standard error, unless --quiet is given. */
void note(const options *parsed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says that Ctrl-C came before all was measured; returns EXIT_INTERRUPTED unless `status` is a
 * failure. */
int note_partly(const options *parsed, int status);
/* Prints and frees `json`, as one line on standard error. NULL prints nothing. */
void note_json(json_t *json);
/* Says what long work is at. On a terminal the text is a line that the next one overwrites. In a
 * log (standard error is anything else) the latest text is printed once in ten seconds, even while
 * no new one comes. Nothing with --quiet. An empty text clears it: call this when the work ends. */
void progress(const options *parsed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, after a bar (on a terminal) and the percentage; done: from 0 to 1. */
void progress_bar(const options *parsed, double done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Standard output. Writes nothing more after the first failure. Start with a zeroed one. */
typedef struct output {
    int failure;     /* errno of the first failed write, or 0 */
    bool unbuffered; /* flush after every write: for a person who watches */
} output;
bool output_is_terminal(void);
bool output_write(output *out, const char *bytes, size_t n);
bool output_printf(output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints and frees `json`. NULL (out of memory) is a failure. */
bool output_json(output *out, json_t *json);
/* Flushes and returns the program's exit status. If the reader has gone away, that is no error. */
int output_finish(output *out);

/* A JSON string from bytes [n] that need not be UTF-8: each invalid byte becomes U+FFFD. NULL if
 * out of memory. */
json_t *json_text(const char *bytes, size_t n);

#endif
