/* floor 5.8 - draw parts: a token's past as sinks, tail and window. */
#include "figure.h"

#include "svg_file.h"

#include <string.h>

enum { WIDTH = 720, HEIGHT = 320, WORDS = 17, SINKS = 1, WINDOW = 4, Y = 92, TALL = 26 };

static const char *const words[WORDS] = {"<s>",   "Once", "upon", "a",      "time", ",",
                                         "there", "was",  "a",    "little", "girl", "named",
                                         "Mia",   ".",    "She",  "was",    "very"};

/* sink, tail or window: 0, 1, 2 */
static int part_of(int i) { return i < SINKS ? 0 : i < WORDS - WINDOW ? 1 : 2; }

/* Boxes over the text, one per token; *left and *right [3]: where each part begins and ends. */
static void draw_text(html *p, double *left, double *right) {
    static const int colours[] = {3, 0, 2};
    double x = SVG_FILE_LEFT, wide = 0;
    for (int i = 0; i < WORDS; i++) wide += svg_file_text_width(words[i], 12);
    double pad = (WIDTH - 2 * SVG_FILE_LEFT - wide) / WORDS;
    for (int i = 0; i < WORDS; i++) {
        double width = svg_file_text_width(words[i], 12) + pad;
        int part = part_of(i);
        html_add(p,
                 "<g class=\"c%d\"><rect class=\"box\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                 "height=\"%d\" rx=\"4\"/></g>",
                 colours[part], x + 1.5, Y, width - 3, TALL);
        svg_file_text(p, "word", x + width / 2, Y + 17, "middle", "%s", words[i]);
        html_add(p, "\n");
        if (i == 0 || part != part_of(i - 1)) left[part] = x + 1.5;
        right[part] = x + width - 1.5;
        x += width;
    }
}

static void bracket(html *p, int colour, double left, double right, const char *name) {
    html_add(p, "<path class=\"line thin c%d\" d=\"M%.1f %dv-7H%.1fv7\"/>", colour, left, Y - 5,
             right);
    svg_file_text(p, "strong", (left + right) / 2, Y - 20, "middle", "%s", name);
}

static void down(html *p, int colour, double x, double to_x, int to_y) {
    html_add(p,
             "<g class=\"c%d\"><path class=\"line thin\" d=\"M%.1f %dC%.1f %d %.1f %d %.1f "
             "%d\"/><path class=\"head\" d=\"M%.1f %dl-4 -7h8z\"/></g>\n",
             colour, x, Y + TALL + 4, x, Y + TALL + 30, to_x, to_y - 34, to_x, to_y - 4, to_x,
             to_y);
}

static void box(html *p, int colour, double x, double width, const char *what, const char *more) {
    html_add(p,
             "<g class=\"c%d\"><rect class=\"box\" x=\"%.1f\" y=\"174\" width=\"%.1f\" "
             "height=\"52\" rx=\"6\"/></g>",
             colour, x, width);
    svg_file_text(p, "strong", x + width / 2, 195, "middle", "%s", what);
    svg_file_text(p, "small", x + width / 2, 214, "middle", "%s", more);
    html_add(p, "\n");
}

bool draw_parts(html *p, const csv_table *none, pf_error *error) {
    (void)none;
    (void)error;
    double left[3], right[3];
    svg_file_begin(p, WIDTH, HEIGHT, "What the token \"very\" sees of its past",
                   "A text of 17 tokens. The first is the sink and the last four are the window: "
                   "their keys and values are kept and their weights are exact. The twelve between "
                   "are the tail, which is kept as the sums S and z. The three parts are added up "
                   "under one denominator.");
    draw_text(p, left, right);
    bracket(p, 3, left[0], right[0], "sinks");
    bracket(p, 0, left[1], right[1], "tail");
    bracket(p, 2, left[2], right[2], "window");
    double middle = (left[1] + right[1]) / 2;
    down(p, 3, (left[0] + right[0]) / 2, 96, 174);
    down(p, 0, middle, middle, 174);
    down(p, 2, (left[2] + right[2]) / 2, 624, 174);
    box(p, 3, 16, 160, "keys and values", "exact: e^(q\xC2\xB7k)");
    box(p, 0, middle - 110, 220, "S [M, D] and z [M]",
        "estimated: \xCF\x86(q)\xC2\xB7\xCF\x86(k), never grows");
    box(p, 2, 544, 160, "keys and values", "exact: e^(q\xC2\xB7k)");
    svg_file_text(p, "big", WIDTH / 2, 260, "middle",
                  "out = ( \xCE\xA3 e^(q\xC2\xB7k) v + \xCF\x86(q) S ) / ( \xCE\xA3 "
                  "e^(q\xC2\xB7k) + \xCF\x86(q)\xC2\xB7z )");
    svg_file_text(p, "soft", WIDTH / 2, 282, "middle",
                  "\xCE\xA3: over sinks and window. One denominator makes the shares of all three "
                  "parts sum to 1.");
    svg_file_text(p, "soft", WIDTH / 2, 302, "middle",
                  "With the next token the window moves on: the key of \".\" leaves it and is "
                  "added to S and z.");
    svg_file_end(p);
    return true;
}
