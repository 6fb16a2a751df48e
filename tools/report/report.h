/* floor 5.7 - report: a comparison as one self-contained HTML file.
 *
 * Charts are SVG drawn by svg.c. A short script makes it easier to choose a head; without it,
 * nothing is missing. report.c writes the frame of the page, report_*.c its sections. */
#ifndef REPORT_H
#define REPORT_H

#include "compare_print.h"
#include "feature_error.h"
#include "html.h"
#include "recall.h"
#include "scaling.h"

typedef struct report {
    const comparison *c;
    const compare_names *names;
    const scaling *scaling;      /* or NULL */
    const recall *recall;        /* or NULL */
    const qkv_rows *rows;        /* of the first tokens under softmax; or NULL */
    const feature_error *errors; /* or NULL */
    size_t shown;                /* the row whose attention is drawn next to softmax's */
} report;

/* Writes the file; it appears complete or not at all. */
bool report_write(const report *r, const char *path, pf_error *error);

/* The parts, used by report.c. */
extern const char report_js[]; /* embedded by the Makefile */
void report_table(html *p, const report *r);
void report_texts(html *p, const report *r);
void report_divergence(html *p, const report *r);
void report_layers(html *p, const report *r);
void report_z(html *p, const report *r);
void report_features(html *p, const report *r);
void report_scaling(html *p, const report *r);
void report_recall(html *p, const report *r);
void report_heads(html *p, const report *r);
/* The colour of a row's lines (see chart_series), and whether they are dashed. */
int report_colour(size_t row);
bool report_dashed(size_t row);

#endif
