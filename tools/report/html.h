/* floor 5.2 - html: a growing text of HTML. */
#ifndef HTML_H
#define HTML_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* Zero it first. After a failure (no memory) nothing is added any more. */
typedef struct html {
    char *text; /* NUL behind it */
    size_t used, capacity;
    bool failed;
    pf_error error;
} html;
void html_free(html *p);

void html_bytes(html *p, const char *bytes, size_t n);
void html_add(html *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text as content or as the value of an attribute: & < > " are escaped, what is no UTF-8 and control
 * characters but the newline become U+FFFD. */
void html_text(html *p, const char *text, size_t n);
void html_string(html *p, const char *text); /* the same, up to the NUL */
void html_base64(html *p, const uint8_t *bytes, size_t n);

#endif
