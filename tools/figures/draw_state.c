/* floor 5.8 - draw state: S and z as a recurrence, beside softmax's growing cache. */
#include "figure.h"

#include "svg_file.h"

enum {
    WIDTH = 720,
    HEIGHT = 430,
    STEPS = 4,
    FIRST = 150, /* x of the first column; columns are STEP apart */
    STEP = 140,
    M = 6, /* of the drawing: rows of S */
    D = 5, /* its columns */
    CELL = 9
};

static const char *const words[STEPS] = {"Once", "upon", "a", "time"};

/* How dark a cell is: a pattern that looks like numbers. It has no meaning. */
static double shade(int step, int i) {
    unsigned x = (unsigned)(step * 31 + i) * 2654435761u;
    return 0.12 + 0.6 * ((x >> 16) % 16) / 16.0;
}

static void grid(html *p, double x, double y, int rows, int columns, int colour, int step) {
    html_add(p, "<g class=\"c%d\">", colour);
    for (int i = 0; i < rows * columns; i++)
        html_add(p,
                 "<rect class=\"fill\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" "
                 "fill-opacity=\"%.2f\"/>",
                 x + i % columns * CELL, y + i / columns * CELL, CELL, CELL, shade(step, i));
    html_add(p, "<path class=\"line thin\" d=\"M%.1f %.1fh%dv%dh%dz\"/></g>\n", x, y,
             columns * CELL, rows * CELL, -columns * CELL);
}

static void arrow(html *p, double x, double y, double dx, double dy) {
    double sx = dx > 0 ? 1 : 0, sy = dy > 0 ? 1 : 0;
    html_add(p,
             "<g class=\"cs\"><path class=\"line thin\" d=\"M%.1f %.1fl%.1f %.1f\"/><path "
             "class=\"head\" d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fz\"/></g>\n",
             x, y, dx, dy, x + dx, y + dy, -7 * sx - 4 * sy, -4 * sx - 7 * sy, 8 * sy, 8 * sx);
}

static void draw_token(html *p, int step) {
    double x = FIRST + step * STEP, s = x + 16;
    svg_file_text(p, "big strong", s + 29, 66, "middle", "%s", words[step]);
    /* phi(k) v^T: a column times a row */
    grid(p, s, 82, M, 1, 2, step);
    grid(p, s + CELL + 4, 82, 1, D, 3, step + 9);
    arrow(p, s + 29, 142, 0, 26);
    /* the state: S and z, of the same size in each step */
    grid(p, s, 172, M, D, 0, step + 20);
    grid(p, s + D * CELL + 5, 172, M, 1, 0, step + 40);
    if (step + 1 < STEPS) arrow(p, s + (D + 1) * CELL + 12, 199, STEP - (D + 1) * CELL - 20, 0);
    /* softmax's cache: a row of k and of v more in each */
    for (int i = 0; i <= step; i++) {
        grid(p, s - 18, 290 + i * (CELL + 3), 1, D, 4, i + 60);
        grid(p, s - 18 + D * CELL + 4, 290 + i * (CELL + 3), 1, D, 3, i + 9);
    }
    html_add(p, "\n");
}

/* A name, with a square of its colour before it. */
static void label(html *p, int colour, double x, double y, const char *name) {
    html_add(p, "<rect class=\"fill c%d\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\"/>", colour,
             x, y - 9);
    svg_file_text(p, "strong", x + 14, y, "start", "%s", name);
    html_add(p, "\n");
}

bool draw_state(html *p, const csv_table *none, pf_error *error) {
    (void)none;
    (void)error;
    svg_file_begin(p, WIDTH, HEIGHT, "S and z: a sum that every token adds to",
                   "Four tokens, from left to right. Each makes features phi(k) and a value v. "
                   "Their product is added to a table S, and phi(k) to a column z. S and z go on "
                   "from token to token and keep their size. Below, softmax's cache gets a row of "
                   "k and v with each token. At the right a query reads S and z.");
    for (int step = 0; step < STEPS; step++) draw_token(p, step);
    svg_file_text(p, "soft", SVG_FILE_LEFT, 66, "start", "token");
    label(p, 2, SVG_FILE_LEFT, 96, "\xCF\x86(k)  [M]");
    label(p, 3, SVG_FILE_LEFT, 114, "v  [D]");
    label(p, 0, SVG_FILE_LEFT, 188, "S [M, D], z [M]");
    svg_file_text(p, "soft small", SVG_FILE_LEFT, 206, "start", "S += \xCF\x86(k) v\xE1\xB5\x80");
    svg_file_text(p, "soft small", SVG_FILE_LEFT, 222, "start", "z += \xCF\x86(k)");
    html_add(p, "<path class=\"grid\" d=\"M%d 262H%d\"/>\n", SVG_FILE_LEFT, WIDTH - SVG_FILE_LEFT);
    label(p, 4, SVG_FILE_LEFT, 300, "softmax's cache");
    svg_file_text(p, "soft small", SVG_FILE_LEFT, 318, "start", "k and v of every");
    svg_file_text(p, "soft small", SVG_FILE_LEFT, 332, "start", "token stay");
    html_add(p, "<path class=\"grid\" d=\"M%d 352H%d\"/>\n", SVG_FILE_LEFT, WIDTH - SVG_FILE_LEFT);
    svg_file_text(p, "soft", SVG_FILE_LEFT, 380, "start", "The query of \"time\" reads");
    label(p, 0, 184, 380, "out = \xCF\x86(q) S / \xCF\x86(q)\xC2\xB7z");
    svg_file_text(p, "soft", 352, 380, "start", "M D products, however long the text is.");
    svg_file_text(p, "soft", SVG_FILE_LEFT, 404, "start", "Under softmax it reads");
    label(p, 4, 184, 404, "every k and every v");
    svg_file_text(p, "soft", 352, 404, "start", "2 D products for each token before it.");
    svg_file_end(p);
    return true;
}
