/* floor 5.3 - page: the frame of a self-contained HTML page, which loads nothing from elsewhere. */
#ifndef PAGE_H
#define PAGE_H

#include "html.h"

/* Everything up to <main>. `subject` and `what` make the title, "SUBJECT: WHAT". The style is
 * report.css, then `style` (may be NULL). A policy in the head forbids all loading. */
void page_begin(html *p, const char *subject, const char *what, const char *style);
/* A script, embedded by the Makefile. */
void page_script(html *p, const char *script);
/* Ends the page, writes it to `path` and frees it. The file appears complete or not at all. */
bool page_write(html *p, const char *path, pf_error *error);

#endif
