/* floor 5.7 - figure: the pictures of docs/figures, and where their numbers come from.
 *
 * A figure is drawn from a table alone (docs/figures/NAME.csv), or from nothing if it only shows
 * how parts hang together. The table is measured here by the engine if that takes seconds, or else
 * by scripts/measure-figures.
 */
#ifndef FIGURE_H
#define FIGURE_H

#include "csv_table.h"
#include "html.h"
#include "terminal.h"

typedef struct figure {
    const char *name;
    /* Draws the whole SVG file; data is NULL for a figure without a table. NULL: a chart of
     * charts.c. */
    bool (*draw)(html *p, const csv_table *data, pf_error *error);
    /* Prints the table; NULL: there is none, or a script measures it. */
    bool (*measure)(output *out, pf_error *error);
    bool has_table;
    bool no_figure; /* a table that scripts/measure-figures asks for */
} figure;

bool draw_chart(html *p, const char *name, const csv_table *data, pf_error *error);
bool draw_row(html *p, const csv_table *data, pf_error *error);
bool draw_state(html *p, const csv_table *none, pf_error *error);
bool draw_parts(html *p, const csv_table *none, pf_error *error);

bool measure_state_bytes(output *out, pf_error *error);
bool measure_operations(output *out, pf_error *error);
bool measure_row(output *out, pf_error *error);
bool measure_histogram(output *out, pf_error *error);
bool measure_variance(output *out, pf_error *error);
bool measure_orthogonal(output *out, pf_error *error);

#endif
