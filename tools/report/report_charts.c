/* floor 5.7 - report charts: divergence, error by layer and features, time by text length. */
#include "report.h"

#include "memory.h"
#include "svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_POINTS = 64 };

/* Room for `rows` series of `points` points. x and y of all are one block, *values; free both. */
static chart_series *new_series(html *p, size_t rows, size_t points, double **values) {
    chart_series *series = pf_calloc(rows, sizeof *series, "a chart", &p->error);
    *values = pf_calloc(rows, 2 * points * sizeof **values, "a chart", &p->error);
    if (series && *values) return series;
    p->failed = true;
    pf_free(series);
    pf_free(*values);
    *values = NULL;
    return NULL;
}

static void set_series(chart_series *s, const char *name, size_t row, double *x, double *y,
                       size_t n) {
    *s = (chart_series){.name = name, .x = x, .y = y, .n = n};
    s->colour = report_colour(row);
    s->dashed = report_dashed(row);
}

/* ---- divergence by position */

static void average_positions(const compared *row, size_t block, double *x, double *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t begin = i * block,
               end = begin + block < row->predicted ? begin + block : row->predicted;
        x[i] = (double)(begin + end) / 2;
        y[i] = 0;
        for (size_t j = begin; j < end; j++) y[i] += row->kls[j] / (double)(end - begin);
    }
}

void report_divergence(html *p, const report *r) {
    const comparison *c = r->c;
    size_t predicted = c->rows[0].predicted, block = (predicted + MOST_POINTS - 1) / MOST_POINTS;
    if (block < 4 && predicted >= 40) block = 4;
    size_t n = (predicted + block - 1) / block, rows = c->n - 1;
    double *values;
    chart_series *series = new_series(p, rows, n, &values);
    if (!series) return;
    for (size_t i = 0; i < rows; i++) {
        double *x = values + 2 * n * i, *y = x + n;
        average_positions(&c->rows[i + 1], block, x, y, n);
        set_series(&series[i], c->rows[i + 1].name, i + 1, x, y, n);
    }
    char title[96];
    snprintf(title, sizeof title, "KL from softmax, mean of %zu position%s", block,
             block == 1 ? "" : "s");
    html_add(p, "<section id=\"divergence\"><h2>Where predictions differ</h2>\n<p>How far each "
                "setting's prediction is from softmax's along the text. A window is exact until "
                "the text outgrows it.</p>\n");
    svg_chart(p,
              &(chart){.id = "kl",
                       .title = title,
                       .about = "Line chart: the divergence of every setting at each position of "
                                "the text, on a logarithmic scale.",
                       .x_label = "position, tokens",
                       .y_label = "nats per token",
                       .wide = true,
                       .log_y = true,
                       .y_floor = 1e-4,
                       .series = series,
                       .n = rows});
    html_add(p, "</section>\n");
    pf_free(series);
    pf_free(values);
}

/* ---- error by layer */

static void layer_chart(html *p, const report *r, bool attention) {
    const comparison *c = r->c;
    size_t L = c->model->n_layers, rows = c->n - 1;
    double *values, ticks[16];
    chart_series *series = new_series(p, rows, L, &values);
    if (!series) return;
    for (size_t i = 0; i < rows; i++) {
        double *x = values + 2 * L * i, *y = x + L;
        const compared *row = &c->rows[i + 1];
        for (size_t l = 0; l < L; l++) {
            const layer_error *e = &row->layers[l];
            x[l] = (double)l;
            y[l] = attention ? relative_error(e->attention_difference, e->attention_reference)
                             : relative_error(e->residual_difference, e->residual_reference);
        }
        set_series(&series[i], row->name, i + 1, x, y, L);
        series[i].dots = L <= 12;
    }
    size_t n_ticks = L < 12 ? L : 8;
    for (size_t i = 0; i < n_ticks; i++)
        ticks[i] = n_ticks > 1 ? (double)(i * (L - 1) / (n_ticks - 1)) : 0;
    svg_chart(p,
              &(chart){.id = attention ? "layer-attention" : "layer-residual",
                       .title = attention ? "Error of attention's output"
                                          : "Error of the residual stream",
                       .about = "Line chart: relative error of every setting at each layer, on a "
                                "logarithmic scale.",
                       .x_label = "layer",
                       .y_label = "relative error",
                       .log_y = true,
                       .y_floor = 1e-4,
                       .x_ticks = ticks,
                       .n_x_ticks = n_ticks,
                       .series = series,
                       .n = rows});
    pf_free(series);
    pf_free(values);
}

void report_layers(html *p, const report *r) {
    html_add(
        p, "<section id=\"layers\"><h2>How errors grow with depth</h2>\n<p>Root mean square of the "
           "difference from the softmax session, relative to it, over all tokens. Each layer's "
           "input already carries the errors of the layers below.</p>\n<div class=\"grid2\">\n");
    layer_chart(p, r, true);
    layer_chart(p, r, false);
    html_add(p, "</div></section>\n");
}

void report_z(html *p, const report *r) {
    const pf_model *m = r->c->model;
    double high = 1;
    for (size_t i = 0; i < (size_t)m->n_layers * m->n_heads; i++)
        if (r->c->z[i] > high) high = r->c->z[i];
    html_add(p, "<section id=\"z\"><h2>Why: the size of queries and keys</h2>\n<p>Z is the mean of "
                "|x + y|² over all pairs of a query and a key that it sees, scaled like the "
                "scores. The relative variance of an estimate from M positive features is "
                "(e<sup>Z</sup> − 1) / M, so no number of them is enough for a head with a large "
                "Z.</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Z by "
                "layer and head\"><table class=\"zmap\"><caption>Z by layer and "
                "head</caption><thead><tr><th scope=\"col\">layer</th>");
    for (uint32_t h = 0; h < m->n_heads; h++) html_add(p, "<th scope=\"col\">head %u</th>", h);
    html_add(p, "</tr></thead><tbody>\n");
    for (uint32_t l = 0; l < m->n_layers; l++) {
        html_add(p, "<tr><th scope=\"row\">%u</th>", l);
        for (uint32_t h = 0; h < m->n_heads; h++) {
            double z = r->c->z[l * m->n_heads + h];
            html_add(p,
                     "<td style=\"background:color-mix(in srgb,var(--c0) "
                     "%.0f%%,transparent)\">%.1f</td>",
                     z > 0 ? 55 * z / high : 0, z);
        }
        html_add(p, "</tr>\n");
    }
    html_add(p, "</tbody></table></div></section>\n");
}

/* ---- error by number of features */

static void output_chart(html *p, const feature_error *e) {
    chart_series series[FEATURE_LAYERS + 1];
    char names[FEATURE_LAYERS][32];
    double guide[FEATURE_SIZES];
    for (size_t i = 0; i < e->n_layers; i++) {
        snprintf(names[i], sizeof names[i], "layer %u", e->layers[i]);
        series[i] = (chart_series){.name = names[i],
                                   .x = e->sizes,
                                   .y = e->output[i],
                                   .n = FEATURE_SIZES,
                                   .colour = (int)i,
                                   .dots = true};
    }
    for (size_t i = 0; i < FEATURE_SIZES; i++)
        guide[i] = e->output[0][0] * sqrt(e->sizes[0] / e->sizes[i]);
    series[e->n_layers] = (chart_series){.name = "1/√M from the first point",
                                         .x = e->sizes,
                                         .y = guide,
                                         .n = FEATURE_SIZES,
                                         .colour = -1,
                                         .dashed = true};
    svg_chart(p, &(chart){.id = "features-output",
                          .title = "Error of attention's output",
                          .about =
                              "Line chart, both axes logarithmic: relative error of the attention "
                              "output against the number of features, for three layers, with a "
                              "line that falls as one over the root of M.",
                          .x_label = "features M",
                          .y_label = "relative error",
                          .log_x = true,
                          .log_y = true,
                          .y_floor = 1e-4,
                          .x_ticks = e->sizes,
                          .n_x_ticks = FEATURE_SIZES,
                          .series = series,
                          .n = e->n_layers + 1});
}

static void kernel_chart(html *p, const feature_error *e) {
    double guide[FEATURE_SIZES];
    for (size_t i = 0; i < FEATURE_SIZES; i++)
        guide[i] = e->measured[0] * sqrt(e->sizes[0] / e->sizes[i]);
    chart_series series[3] = {
        {.name = "measured", .x = e->sizes, .y = e->measured, .n = FEATURE_SIZES, .dots = true},
        {.name = "predicted by the variance",
         .x = e->sizes,
         .y = e->predicted,
         .n = FEATURE_SIZES,
         .colour = 1},
        {.name = "1/√M from the first point",
         .x = e->sizes,
         .y = guide,
         .n = FEATURE_SIZES,
         .colour = -1,
         .dashed = true}};
    char title[128];
    snprintf(title, sizeof title, "Error of exp(x·y): layer %u, head %u, mean Z %.2f", e->layer,
             e->head, e->z);
    svg_chart(p,
              &(chart){.id = "features-kernel",
                       .title = title,
                       .about = "Line chart, both axes logarithmic: relative error of estimates of "
                                "exp(x.y) against the number of features, measured and predicted.",
                       .x_label = "features M",
                       .y_label = "relative error",
                       .log_x = true,
                       .log_y = true,
                       .y_floor = 1e-4,
                       .x_ticks = e->sizes,
                       .n_x_ticks = FEATURE_SIZES,
                       .series = series,
                       .n = 3});
}

void report_features(html *p, const report *r) {
    html_add(p, "<section id=\"features\"><h2>More features</h2>\n<p>Left: attention of the "
                "setting <code>");
    html_string(p, r->c->rows[r->shown].name);
    html_add(p,
             "</code> with M features, on softmax's own queries, keys and values. Right: single "
             "estimates of exp(x·y) by positive features for the %zu pairs with the smallest Z, "
             "and what the variance (e<sup>Z</sup> − 1) / M predicts for them. Errors fall as 1/√M "
             "where Z is small. Where it is large, almost the whole sum lies in a few directions "
             "that the draw missed, and more features hardly help.</p>\n<div class=\"grid2\">\n",
             r->errors->n_pairs);
    output_chart(p, r->errors);
    kernel_chart(p, r->errors);
    html_add(p, "</div></section>\n");
}

/* ---- time and memory by length */

static void scaling_chart(html *p, const scaling *s, bool time) {
    double *values, ticks[SCALING_MAX_CONTEXTS];
    size_t n = s->n_contexts;
    chart_series *series = new_series(p, s->n_rows, n, &values);
    if (!series) return;
    for (size_t i = 0; i < n; i++) ticks[i] = (double)s->contexts[i];
    for (size_t r = 0; r < s->n_rows; r++) {
        double *y = values + 2 * n * r;
        for (size_t i = 0; i < n; i++) {
            const scaling_point *point = &s->rows[r].points[i];
            y[i] = !time ? (double)point->state_bytes : point->measured ? point->write_ms : NAN;
        }
        set_series(&series[r], s->rows[r].name, r, ticks, y, n);
        series[r].dots = true;
    }
    svg_chart(
        p, &(chart){.id = time ? "length-time" : "length-state",
                    .title = time ? "Time to write a token" : "State",
                    .about = time ? "Line chart, both axes logarithmic: milliseconds per written "
                                    "token against the length of the text before it."
                                  : "Line chart, both axes logarithmic: bytes of state against the "
                                    "length of the text.",
                    .x_label = "tokens before it",
                    .y_label = time ? "ms" : "bytes",
                    .log_x = true,
                    .log_y = true,
                    .x_ticks = ticks,
                    .n_x_ticks = n,
                    .series = series,
                    .n = s->n_rows});
    pf_free(series);
    pf_free(values);
}

void report_scaling(html *p, const report *r) {
    const scaling *s = r->scaling;
    html_add(p, "<section id=\"length\"><h2>Time and memory against length</h2>\n<p>Measured on "
                "this machine, for the whole model. Lengths not reached in the given time are left "
                "out.</p>\n<div class=\"grid2\">\n");
    scaling_chart(p, s, true);
    scaling_chart(p, s, false);
    html_add(p, "</div>\n<ul>\n");
    for (size_t i = 1; i < s->n_rows; i++) {
        double at = s->rows[i].write_crossing;
        html_add(p, "<li><code>");
        html_string(p, s->rows[i].name);
        html_add(p, "</code>: softmax takes longer to write a token ");
        if (at == 0)
            html_add(p, "already at %zu tokens", s->contexts[0]);
        else if (isfinite(at))
            html_add(p, "from about %.0f tokens", at);
        else
            html_add(p, "at none of the lengths measured");
        html_add(p,
                 "; by the count of multiplications (2·d·n against 2·M·d per head), from %.0f "
                 "tokens. Its state is larger from %zu tokens.</li>\n",
                 scaling_theory_crossing(s, i), s->rows[i].state_crossing);
    }
    html_add(p, "</ul></section>\n");
}
