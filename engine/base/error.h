/* floor 0.0 - errors: one sentence that says what failed, where, and what to do. */
#ifndef PF_ERROR_H
#define PF_ERROR_H

#include <stdbool.h>

/* Owned by the caller, usually on its stack; holds no memory of its own. */
typedef struct pf_error {
    char message[512]; /* UTF-8, no trailing newline; "" if nothing has failed */
} pf_error;

/* Writes the message (printf format) and returns false, so that a function can end with
 * `return pf_fail(error, "...")`. With error NULL the message is dropped.
 * The arguments may include error->message itself (to put a file's name in front of it). */
bool pf_fail(pf_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* sees one file at a time: tell it that the result is always false */
#define pf_fail(...) ((void)pf_fail(__VA_ARGS__), false)
#endif

#endif
