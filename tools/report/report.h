/* floor 5.7 - report: a comparison as one HTML file that needs nothing else.
 *
 * Charts are drawn here, as SVG; a few lines of script make choosing a head more comfortable, and nothing
 * is missing without them. report.c is the frame, report_*.c a section each. */
#ifndef REPORT_H
#define REPORT_H

#include "compare_print.h"
#include "feature_error.h"
#include "html.h"
#include "scaling.h"

typedef struct report {
    const comparison *c;
    const compare_names *names;
    const scaling *scaling;      /* or NULL */
    const qkv_rows *rows;        /* the first tokens under softmax; or NULL */
    const feature_error *errors; /* or NULL */
    size_t shown;                /* the row whose attention is drawn beside softmax's */
} report;

/* Writes the file; it appears whole or not at all. */
bool report_write(const report *r, const char *path, pf_error *error);

/* The parts, for report.c. */
extern const char report_css[],
    report_js[]; /* the files, embedded by the Makefile; NUL-terminated */
void report_table(html *p, const report *r);
void report_texts(html *p, const report *r);
void report_divergence(html *p, const report *r);
void report_layers(html *p, const report *r);
void report_z(html *p, const report *r);
void report_features(html *p, const report *r);
void report_scaling(html *p, const report *r);
void report_heads(html *p, const report *r);
/* The colour of row r's lines, and whether they are dashed. */
int report_colour(size_t row);
bool report_dashed(size_t row);

#endif
