/* floor 5.2 - html: a growing buffer of HTML. */
#ifndef HTML_H
#define HTML_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Zero it first. Once memory has run out (failed), further calls add nothing. */
typedef struct html {
    char *text; /* NUL-terminated */
    size_t used, capacity;
    bool failed;
    pf_error error;
} html;
void html_free(html *p);

void html_bytes(html *p, const char *bytes, size_t n);
void html_add(html *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds text as content or as an attribute's value: & < > " are escaped; invalid UTF-8 and control
 * characters other than newline become U+FFFD. */
void html_text(html *p, const char *text, size_t n);
void html_string(html *p, const char *text); /* NUL-terminated text */
void html_base64(html *p, const uint8_t *bytes, size_t n);

#endif
