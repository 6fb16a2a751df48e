/* floor 5.8 - charts: which columns of a table are which lines of a figure. */
#include "figure.h"

#include "memory.h"
#include "svg_file.h"

#include <string.h>

enum { MOST_LINES = 8, WIDTH = 720 };

/* One line. Its table's first column is x. */
typedef struct line {
    const char *column, *name; /* name: in the legend; NULL: as the column */
    int colour;                /* of report.css; -1: that of text */
    bool dashed, dots, filled;
    bool measured; /* dots alone, not in the legend: they belong to a line of this colour */
} line;

typedef struct chart_of_table {
    chart chart;
    line lines[MOST_LINES];
} chart_of_table;

static const double lengths[] = {16, 64, 256, 1024, 4096, 16384, 65536};
static const double estimates[] = {0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6};
static const double distances[] = {32, 128, 384, 1024, 2048};

static const chart_of_table charts[] = {
    {.chart = {.id = "cost-time",
               .title = "Time to read a text, by its length",
               .about = "Both axes are logarithmic. Softmax and favor take about equally long for "
                        "short texts. From about a thousand tokens on, softmax's line rises twice "
                        "as steeply as favor's, to 87 seconds against 2.3 at 65,536 tokens. Dashed "
                        "lines count operations; the measured dots lie on them, except at short "
                        "texts, where starting the program takes 9 ms.",
               .x_label = "tokens",
               .y_label = "seconds on one core",
               .log_x = true,
               .log_y = true,
               .x_ticks = lengths,
               .n_x_ticks = 7},
     .lines = {{.column = "softmax", .colour = -1, .dots = true},
               {.column = "favor", .name = "favor, M = 64", .colour = 0, .dots = true},
               {.column = "softmax counted",
                .name = "operations of softmax, counted",
                .colour = -1,
                .dashed = true},
               {.column = "favor counted",
                .name = "operations of favor, counted",
                .colour = 0,
                .dashed = true}}},
    {.chart = {.id = "cost-state",
               .title = "State kept of a text, by its length",
               .about = "Both axes are logarithmic. Softmax's state is a straight line that rises "
                        "fourfold when the text is four times as long; favor's is level. They "
                        "cross at 33 tokens.",
               .x_label = "tokens",
               .y_label = "bytes",
               .log_x = true,
               .log_y = true,
               .x_ticks = lengths,
               .n_x_ticks = 7},
     .lines = {{.column = "softmax", .colour = -1, .dots = true},
               {.column = "favor", .name = "favor, M = 64", .colour = 0, .dots = true}}},
    {.chart = {.id = "histogram",
               .title = "One estimate of e^score, drawn 10,000 times",
               .about = "Three histograms of phi(q).phi(k), for 16, 64 and 256 features. All three "
                        "have their mean on e^score, which a dashed line marks. The more features, "
                        "the narrower and more symmetrical the histogram. With 16 features most "
                        "estimates are too small and a few are much too large.",
               .x_label = "phi(q).phi(k); dots: the mean of all draws",
               .x_ticks = estimates,
               .n_x_ticks = 9,
               .y_label = "percent of the draws"},
     .lines = {{.column = "mean 16", .colour = 1, .measured = true},
               {.column = "mean 64", .colour = 0, .measured = true},
               {.column = "mean 256", .colour = 2, .measured = true},
               {.column = "M = 16", .colour = 1, .filled = true},
               {.column = "M = 64", .colour = 0, .filled = true},
               {.column = "M = 256", .colour = 2, .filled = true},
               {.column = "exact", .name = "e^score", .colour = -1, .dashed = true}}},
    {.chart = {.id = "variance",
               .title = "How much one estimate scatters, by Z (64 features)",
               .about = "The standard deviation of an estimate as a share of its true value, on a "
                        "logarithmic axis. Lines are formulas, dots measurements. Positive and "
                        "hyperbolic features are precise where Z is small and get worse as Z "
                        "grows, hyperbolic ones always a little better. Trig features are the "
                        "other way round: precise at large Z, useless at small Z.",
               .x_label = "Z = |x + y|^2, from opposite (0) to equal vectors (4)",
               .y_label = "standard deviation, % of e^score",
               .log_y = true},
     .lines = {{.column = "positive", .colour = 0},
               {.column = "hyperbolic", .colour = 2},
               {.column = "trig", .name = "sines and cosines (trig)", .colour = 1},
               {.column = "positive measured", .colour = 0, .measured = true},
               {.column = "hyperbolic measured", .colour = 2, .measured = true},
               {.column = "trig measured", .colour = 1, .measured = true}}},
    {.chart = {.id = "orthogonal",
               .title = "Orthogonal against independent directions (M = D = 16)",
               .about = "The standard deviation of an estimate as a share of its true value. "
                        "Orthogonal directions scatter less than independent ones at every Z, and "
                        "the measured dots lie on the lines of the formulas.",
               .x_label = "Z = |x + y|^2",
               .y_label = "standard deviation, % of e^score"},
     .lines = {{.column = "independent", .colour = 1},
               {.column = "orthogonal", .colour = 0},
               {.column = "independent measured", .colour = 1, .measured = true},
               {.column = "orthogonal measured", .colour = 0, .measured = true}}},
    {.chart = {.id = "kl-bytes",
               .title = "What a byte of state buys: tales-softmax",
               .about = "KL from softmax against bytes of state, both axes logarithmic. Random "
                        "features alone stay above 1.5 nats however many bytes they get. Windows "
                        "get closer with every byte, from 0.5 at 20 kB to 0.04 at 400 kB. "
                        "Calibrated windows and tails have about half the KL of windows of the "
                        "same bytes up to 100 kB; at 262 kB the two lines meet.",
               .x_label = "bytes of state",
               .y_label = "KL from softmax, nats",
               .log_x = true,
               .log_y = true},
     .lines = {{.column = "random features alone", .colour = 1, .dots = true},
               {.column = "one window for all heads", .colour = 3, .dots = true},
               {.column = "calibrated",
                .name = "calibrated: windows and fitted features per head",
                .colour = 0,
                .dots = true}}},
    {.chart = {.id = "kl-bytes-smollm2",
               .title = "What a byte of state buys: SmolLM2-135M",
               .about =
                   "KL from softmax on Grimm against bytes of state, both axes logarithmic. One "
                   "window for all heads falls from 0.55 at 1.7 MB to 0.03 at 18 MB. "
                   "Calibrated windows and tails have a fifth to a sixth of its KL: 0.05 at "
                   "4.6 MB and 0.017 at 9.1 MB.",
               .x_label = "bytes of state",
               .y_label = "KL from softmax, nats",
               .log_x = true,
               .log_y = true},
     .lines = {{.column = "one window for all heads", .colour = 3, .dots = true},
               {.column = "calibrated",
                .name = "calibrated: windows and fitted features per head",
                .colour = 0,
                .dots = true}}},
    {.chart = {.id = "position",
               .title = "Loss along 32,768 tokens of stories: two models trained on 256",
               .about = "The loss of tales-softmax climbs from 3.4 to 4.5 nats, and that of "
                        "tales-favor, which forgets nothing, from 3.3 to 4. With --forget 128 it "
                        "stays near 2.7 from the first token to the last.",
               .x_label = "position in the text, tokens",
               .y_label = "loss, nats per token"},
     .lines = {{.column = "softmax", .name = "tales-softmax", .colour = -1},
               {.column = "favor", .name = "tales-favor", .colour = 1},
               {.column = "forget", .name = "tales-favor, --forget 128", .colour = 0}}},
    {.chart = {.id = "position-smollm2",
               .title = "Loss along 32,768 tokens of Grimm: SmolLM2, trained on 8,192",
               .about =
                   "Softmax stays near 2.7 nats up to about 10,000 tokens, somewhat beyond the "
                   "8,192 it was trained on, and then climbs to 6.5 at 16,000. The calibrated "
                   "model stays between 2.6 and 3 over the whole text. If nothing is "
                   "forgotten it climbs slowly to 3.6. One window for all heads is level, "
                   "too, and a little higher.",
               .x_label = "position in the text, tokens",
               .y_label = "loss, nats per token",
               .y_from = 2},
     .lines = {{.column = "softmax", .colour = -1},
               {.column = "calibrated", .name = "calibrated, 9.1 MB", .colour = 0},
               {.column = "forget 0", .name = "the same, nothing forgotten", .colour = 1},
               {.column = "window", .name = "window 194 for all, 9.1 MB", .colour = 3}}},
    {.chart = {.id = "recall",
               .title = "What SmolLM2 keeps of a passage, by distance",
               .about = "How much of a passage of 128 tokens is still there when it comes again. "
                        "With --keep recall 97 % or more at every distance up to 2,048 tokens. The "
                        "calibrated constant state keeps 99 % at 128, 82 % at 384 and 10 % from "
                        "1,024 on. One window for all heads keeps everything at 32 and a tenth or "
                        "less from 128 on.",
               .x_label = "tokens between the fact and the question",
               .y_label = "kept of what softmax has, %",
               .log_x = true,
               .x_ticks = distances,
               .n_x_ticks = 5},
     .lines =
         {{.column = "softmax", .colour = -1, .dots = true},
          {.column = "recall", .name = "calibrated, --keep recall", .colour = 2, .dots = true},
          {.column = "constant", .name = "calibrated, 9.1 MB", .colour = 0, .dots = true},
          {.column = "window", .name = "window 194 for all, 9.1 MB", .colour = 3, .dots = true}}},
};

static const chart_of_table *find_chart(const char *name) {
    for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++)
        if (strcmp(charts[i].chart.id, name) == 0) return &charts[i];
    return NULL;
}

/* Keeps the points that have a value; *x and *y are [n_rows] of the whole column. */
static size_t drop_empty(double *x, double *y, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (y[i] != y[i]) continue;
        x[kept] = x[i];
        y[kept++] = y[i];
    }
    return kept;
}

bool draw_chart(html *p, const char *name, const csv_table *data, pf_error *error) {
    const chart_of_table *found = find_chart(name);
    if (!found) return pf_fail(error, "there is no chart \"%s\" in tools/figures/charts.c", name);
    chart_series series[MOST_LINES];
    size_t n = 0, rows = data->n_rows;
    double *values = pf_calloc(MOST_LINES, 2 * rows * sizeof *values, "the chart", error);
    bool good = values != NULL;
    for (; good && n < MOST_LINES && found->lines[n].column; n++) {
        const line *l = &found->lines[n];
        double *x = values + 2 * rows * n, *y = x + rows;
        good = csv_table_numbers(data, data->cells[0], x, error) &&
               csv_table_numbers(data, l->column, y, error);
        series[n] = (chart_series){.name = l->name ? l->name : l->column,
                                   .x = x,
                                   .y = y,
                                   .n = good ? drop_empty(x, y, rows) : 0,
                                   .colour = l->colour,
                                   .dashed = l->dashed,
                                   .dots = l->dots || l->measured,
                                   .no_line = l->measured,
                                   .filled = l->filled,
                                   .unlisted = l->measured};
    }
    chart c = found->chart;
    c.width = WIDTH;
    c.series = series;
    c.n = n;
    if (good) svg_file_chart(p, &c);
    pf_free(values);
    return good;
}
