/* floor 5.4 - svg file: a drawing as a file of its own, light and dark. */
#include "svg_file.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern const char report_css[], figure_css[]; /* embedded by the Makefile */

enum { LEGEND_ROW = 18, LEGEND_LINE = 22, LEGEND_GAP = 16, RIGHT = 16 };

/* The value of "--NAME:" in report.css: the first is that of the light scheme, the second that of
 * the dark one. "" if there is none. */
static const char *colour(const char *name, size_t n, bool dark, size_t *length) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%.*s: ", (int)n, name);
    const char *at = strstr(report_css, wanted);
    if (at && dark) at = strstr(at + 1, wanted);
    at = at ? at + strlen(wanted) : "";
    *length = strcspn(at, ";");
    return at;
}

/* figure.css, each var(--NAME) replaced by its value: not every viewer knows variables. For the
 * dark scheme only the rules with a colour. */
static void add_style(html *p, bool dark) {
    for (const char *line = figure_css; *line;) {
        size_t n = strcspn(line, "\n");
        const char *end = line + n, *from = line, *name;
        bool coloured = (name = strstr(line, "var(--")) != NULL && name < end;
        while (coloured && (name = strstr(from, "var(")) != NULL && name < end) {
            size_t length = strcspn(name + 4, ")"), size;
            html_bytes(p, from, (size_t)(name - from));
            const char *value = colour(name + 4, length, dark, &size);
            html_bytes(p, value, size);
            from = name + 4 + length + 1;
        }
        if (coloured || !dark) {
            html_bytes(p, from, (size_t)(end - from));
            html_add(p, "\n");
        }
        line = end + (*end == '\n');
    }
}

void svg_file_begin(html *p, int width, int height, const char *title, const char *about) {
    html_add(p,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
             "height=\"%d\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">",
             width, height, width, height);
    html_string(p, title);
    html_add(p, "</title>\n<desc id=\"d\">");
    html_string(p, about);
    html_add(p, "</desc>\n<style>\n");
    add_style(p, false);
    html_add(p, "@media (prefers-color-scheme: dark) {\n");
    add_style(p, true);
    html_add(p,
             "}\n</style>\n<rect class=\"card\" x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" "
             "rx=\"8\"/>\n",
             width - 1, height - 1);
    svg_file_text(p, "title", SVG_FILE_LEFT, 25, "start", "%s", title);
    html_add(p, "\n");
}

void svg_file_end(html *p) { html_add(p, "</svg>\n"); }

void svg_file_text(html *p, const char *class, double x, double y, const char *anchor,
                   const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    html_add(p, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\"", class, x, y);
    if (strcmp(anchor, "start") != 0) html_add(p, " text-anchor=\"%s\"", anchor);
    html_add(p, ">");
    html_string(p, text);
    html_add(p, "</text>");
}

double svg_file_text_width(const char *text, double size) {
    double width = 0;
    for (size_t i = 0, n = strlen(text); i < n;) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        bool narrow = character.code < 0x80 && strchr("iljtfI.,:;'|!()[] ", (int)character.code);
        bool broad = character.code < 0x80 && strchr("mwMW%@", (int)character.code);
        width += size * (narrow ? 0.36 : broad ? 0.92 : 0.6);
        i += character.size;
    }
    return width;
}

/* Adds the legend from `y` on, or with NULL adds nothing. Returns its height. */
static int legend(html *p, const chart *c, int y) {
    double x = SVG_FILE_LEFT;
    int rows = 0;
    for (size_t i = 0; i < c->n; i++) {
        const chart_series *s = &c->series[i];
        if (s->unlisted) continue;
        double width = LEGEND_LINE + 6 + svg_file_text_width(s->name, 12);
        if (rows == 0 || x + width > svg_width(c) - RIGHT) {
            x = SVG_FILE_LEFT;
            rows++;
        }
        double middle = y + LEGEND_ROW * rows - 9;
        if (p) {
            html_add(p, "<g class=\"series c%d%s\"><path d=\"M%.1f %.1fh%d\"/>", s->colour,
                     s->dashed ? " dashed" : "", x, middle, LEGEND_LINE);
            if (s->dots)
                html_add(p, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>", x + LEGEND_LINE / 2,
                         middle);
            html_add(p, "</g>");
            svg_file_text(p, "soft", x + LEGEND_LINE + 6, middle + 4, "start", "%s", s->name);
            html_add(p, "\n");
        }
        x += width + LEGEND_GAP;
    }
    return LEGEND_ROW * rows;
}

void svg_file_chart(html *p, const chart *c) {
    int top = SVG_FILE_TOP - 4 + legend(NULL, c, 0) + 4;
    svg_file_begin(p, svg_width(c), top + SVG_HEIGHT, c->title, c->about);
    legend(p, c, SVG_FILE_TOP - 4);
    html_add(p, "<g transform=\"translate(0 %d)\">\n", top);
    svg_plot(p, c);
    html_add(p, "\n</g>\n");
    svg_file_end(p);
}
