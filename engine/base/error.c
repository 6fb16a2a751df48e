/* floor 0.0 - errors: one sentence that says what failed, where, and what to do. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef pf_fail /* see error.h */
bool pf_fail(pf_error *error, const char *format, ...) {
    if (!error) return false;
    char text[sizeof error->message]; /* a copy, since the arguments may include the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(error->message, text, sizeof text);
    return false;
}
