/* floor 5.3 - page: the frame of a self-contained HTML page, which loads nothing from elsewhere. */
#include "page.h"

#include "file.h"

#include <string.h>

extern const char report_css[]; /* embedded by the Makefile */

void page_begin(html *p, const char *subject, const char *what, const char *style) {
    html_add(p,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
             "data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
             "<link rel=\"icon\" href=\"data:,\">\n<title>");
    html_string(p, subject);
    html_add(p, ": ");
    html_string(p, what);
    html_add(p, "</title>\n<style>\n");
    html_bytes(p, report_css, strlen(report_css));
    if (style) html_bytes(p, style, strlen(style));
    html_add(p, "</style>\n</head>\n<body>\n<main>\n");
}

void page_script(html *p, const char *script) {
    html_add(p, "<script>\n");
    html_bytes(p, script, strlen(script));
    html_add(p, "</script>\n");
}

bool page_write(html *p, const char *path, pf_error *error) {
    html_add(p, "</body>\n</html>\n");
    bool good = p->failed ? pf_fail(error, "%s", p->error.message)
                          : pf_file_write(path, p->text, p->used, error);
    html_free(p);
    return good;
}
