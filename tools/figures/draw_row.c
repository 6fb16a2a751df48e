/* floor 5.8 - draw row: the attention of one token, exact and estimated. */
#include "figure.h"

#include "memory.h"
#include "svg_file.h"

#include <math.h>

enum { WIDTH = 720, HEIGHT = 330, LEFT = 60, RIGHT = 20, TOP = 76, BOTTOM = 286 };

typedef struct row {
    const csv_table *data;
    double *softmax, *favor, *low, *high; /* [T] */
    double most;                          /* at the top of the axis */
} row;

static double x_of(const row *r, double t) {
    return LEFT + (t + 0.5) * (WIDTH - LEFT - RIGHT) / (double)r->data->n_rows;
}
static double y_of(const row *r, double w) { return BOTTOM - w / r->most * (BOTTOM - TOP); }

static bool read_row(row *r, const csv_table *data, pf_error *error) {
    size_t T = data->n_rows;
    *r = (row){.data = data, .softmax = pf_calloc(T, 4 * sizeof(double), "the row", error)};
    if (!r->softmax) return false;
    r->favor = r->softmax + T;
    r->low = r->favor + T;
    r->high = r->low + T;
    if (!csv_table_numbers(data, "softmax", r->softmax, error) ||
        !csv_table_numbers(data, "favor", r->favor, error) ||
        !csv_table_numbers(data, "low", r->low, error) ||
        !csv_table_numbers(data, "high", r->high, error))
        return false;
    for (size_t t = 0; t < T; t++)
        r->most = fmax(r->most, fmax(r->softmax[t], fmax(r->favor[t], r->high[t])));
    r->most = 0.01 * ceil(r->most / 0.01);
    return r->most > 0 || pf_fail(error, "%s has no weight above 0", data->name);
}

static void draw_axis(html *p, const row *r) {
    for (int i = 0; 0.05 * i <= r->most + 1e-9; i++) {
        double y = y_of(r, 0.05 * i);
        html_add(p, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, WIDTH - RIGHT);
        svg_file_text(p, "tick", LEFT - 8, y + 4, "end", "%.2f", 0.05 * i);
    }
    html_add(p,
             "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(16 %d) "
             "rotate(-90)\">share of attention</text>\n",
             (TOP + BOTTOM) / 2);
}

static void draw_key(html *p) {
    int y = 48, x = SVG_FILE_LEFT;
    html_add(p, "<g class=\"cs\"><path class=\"box\" d=\"M%d %dh14v12h-14z\"/></g>", x, y - 6);
    svg_file_text(p, "soft", x + 20, y + 4, "start", "softmax, exact");
    html_add(p, "<g class=\"c0 series\"><circle cx=\"%d\" cy=\"%d\" r=\"4\"/></g>", x + 136, y);
    svg_file_text(p, "soft", x + 146, y + 4, "start", "favor, the stored draw of 64 features");
    html_add(p, "<g class=\"c0\"><path class=\"line thin\" d=\"M%d %dv12m-4 0h8m-8 -12h8\"/></g>",
             x + 392, y - 6);
    svg_file_text(p, "soft", x + 406, y + 4, "start", "80 of 100 other draws lie in here");
}

bool draw_row(html *p, const csv_table *data, pf_error *error) {
    row r;
    size_t token;
    bool good = read_row(&r, data, error) && csv_table_column(data, "token", &token, error);
    if (good) {
        svg_file_begin(p, WIDTH, HEIGHT,
                       "One row of attention: what \" very\" takes from each token",
                       "One bar per token for softmax's share, and on it a dot for the estimate "
                       "from 64 random features, with a whisker that holds 80 of 100 draws. The "
                       "dots follow the bars roughly. The largest share, on \" little\", is "
                       "underestimated by most draws.");
        draw_key(p);
        draw_axis(p, &r);
        double half = 0.36 * (WIDTH - LEFT - RIGHT) / (double)data->n_rows;
        for (size_t t = 0; t < data->n_rows; t++) {
            double x = x_of(&r, (double)t), top = y_of(&r, r.softmax[t]);
            html_add(p, "<path class=\"box cs\" d=\"M%.1f %dV%.1fh%.1fV%d\"/>", x - half, BOTTOM,
                     top, 2 * half, BOTTOM);
            html_add(p,
                     "<path class=\"line thin c0\" d=\"M%.1f %.1fh8m-4 0V%.1fm-4 0h8\"/><g "
                     "class=\"c0 series\"><circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/></g>",
                     x - 4, y_of(&r, r.low[t]), y_of(&r, r.high[t]), x, y_of(&r, r.favor[t]));
            svg_file_text(p, "tick small", x, BOTTOM + 16, "middle", "%s",
                          csv_table_cell(data, t, token));
            html_add(p, "\n");
        }
        html_add(p, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, BOTTOM, WIDTH - RIGHT);
        svg_file_text(p, "label", (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, "middle",
                      "the tokens of the text");
        svg_file_end(p);
    }
    pf_free(r.softmax);
    return good;
}
