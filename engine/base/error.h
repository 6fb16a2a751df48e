/* floor 0.0 - errors: one sentence that says what, where, and what to do. */
#ifndef PF_ERROR_H
#define PF_ERROR_H

#include <stdbool.h>

/* The caller owns it, usually on its stack; it holds no memory of its own. */
typedef struct pf_error {
    char message[512]; /* UTF-8, no trailing newline, "" while nothing failed */
} pf_error;

/* Writes the message (printf format) and returns false, so that a function can end with
 * `return pf_fail(error, "...")`. A NULL error is allowed: the message is dropped.
 * The message may quote error->message itself (to put a file's name in front of it). */
bool pf_fail(pf_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* which sees one file at a time, and must not think that this may be true */
#define pf_fail(...) ((void)pf_fail(__VA_ARGS__), false)
#endif

#endif
