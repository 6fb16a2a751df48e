/* floor 5.3 - svg: line charts as SVG text. */
#include "svg.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDE = 1000,
    HALF = 480,
    HEIGHT = SVG_HEIGHT,
    LEFT = 70,
    RIGHT = 24,
    TOP = 10,
    BOTTOM = 46,
    MOST_TICKS = 24
};

/* One axis, from low to high; on a log axis these are log10 of the values. */
typedef struct axis {
    double low, high;
    bool log;
} axis;

typedef struct frame {
    axis x, y;
    int width; /* of the drawing, in pixels when the page has its full width */
    const chart *chart;
} frame;

static bool usable(double value, bool log) { return isfinite(value) && (!log || value > 0); }

static double on(const axis *a, double value) { return a->log ? log10(value) : value; }

static double share(const axis *a, double value) {
    return a->high > a->low ? (on(a, value) - a->low) / (a->high - a->low) : 0.5;
}

static double x_of(const frame *f, double x) {
    return LEFT + share(&f->x, x) * (f->width - LEFT - RIGHT);
}
static double y_of(const frame *f, double y) {
    if (f->y.log && y < f->chart->y_floor) y = f->chart->y_floor;
    return TOP + (1 - share(&f->y, y)) * (HEIGHT - TOP - BOTTOM);
}

static void widen(axis *a, double value) {
    if (!usable(value, a->log)) return;
    double v = on(a, value);
    if (v < a->low) a->low = v;
    if (v > a->high) a->high = v;
}

/* 1, 2 or 5 times a power of ten, so that about `count` steps fit `range`. */
static double nice_step(double range, int count) {
    double raw = range / count, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

int svg_width(const chart *c) { return c->width ? c->width : c->wide ? WIDE : HALF; }

static frame make_frame(const chart *c) {
    frame f = {{INFINITY, -INFINITY, c->log_x}, {INFINITY, -INFINITY, c->log_y}, svg_width(c), c};
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < c->series[i].n; j++) {
            if (!usable(c->series[i].x[j], c->log_x) || !usable(c->series[i].y[j], c->log_y))
                continue;
            double y = c->series[i].y[j];
            widen(&f.x, c->series[i].x[j]);
            widen(&f.y, c->log_y && y < c->y_floor ? c->y_floor : y);
        }
    if (!(f.x.low <= f.x.high)) f.x = (axis){0, 1, false};
    if (!(f.y.low <= f.y.high)) f.y = (axis){0, 1, false};
    if (!f.y.log) {
        f.y.low = c->y_from != 0 ? c->y_from : f.y.low > 0 ? 0 : f.y.low;
        if (!(f.y.high > f.y.low)) f.y.high = f.y.low + 1;
        double step = nice_step(f.y.high - f.y.low, 5);
        f.y.high = step * ceil(f.y.high / step - 1e-9);
    } else {
        double room = 0.05 * (f.y.high - f.y.low) + 0.02;
        f.y.low -= room;
        f.y.high += room;
    }
    return f;
}

/* The ticks of a log axis: the fewer decades it spans, the more ticks in each. */
static size_t choose_log_ticks(const axis *a, double *ticks) {
    static const double mantissa[] = {1, 2, 5, 1.5, 3, 7};
    double decades = a->high - a->low;
    size_t n = 0;
    int used = decades > 2.5 ? 1 : decades > 0.8 ? 3 : 6;
    for (double e = floor(a->low); e <= a->high; e++)
        for (int m = 0; m < used; m++) {
            double value = mantissa[m] * pow(10, e), v = log10(value);
            if (v >= a->low - 1e-9 && v <= a->high + 1e-9 && n < MOST_TICKS) ticks[n++] = value;
        }
    return n;
}

static size_t choose_ticks(const axis *a, double *ticks) {
    if (a->log) return choose_log_ticks(a, ticks);
    size_t n = 0;
    double range = a->high - a->low;
    if (!(range > 0)) {
        ticks[0] = a->low;
        return 1;
    }
    double step = nice_step(range, 5);
    for (double v = step * ceil(a->low / step - 1e-9);
         v <= a->high + 1e-9 * range && n < MOST_TICKS; v += step)
        ticks[n++] = fabs(v) < 1e-9 * range ? 0 : v;
    return n;
}

/* "0.02", "15", "20 k", "1.5 M" */
static void print_number(char *text, size_t size, double value) {
    double a = fabs(value);
    if (a >= 1e9)
        snprintf(text, size, "%g G", value / 1e9);
    else if (a >= 1e6)
        snprintf(text, size, "%g M", value / 1e6);
    else if (a >= 1e4 && fmod(a, 1e3) == 0)
        snprintf(text, size, "%g k", value / 1e3);
    else
        snprintf(text, size, "%.9g", value);
}

static void draw_axes(html *p, const frame *f) {
    const chart *c = f->chart;
    double ticks[MOST_TICKS];
    char text[32];
    size_t n = choose_ticks(&f->y, ticks);
    for (size_t i = 0; i < n; i++) {
        double y = y_of(f, ticks[i]);
        print_number(text, sizeof text, ticks[i]);
        html_add(p,
                 "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" "
                 "text-anchor=\"end\">%s</text>",
                 LEFT, y, f->width - RIGHT, LEFT - 6, y + 4, text);
    }
    const double *x_ticks = c->x_ticks;
    n = c->n_x_ticks;
    if (!x_ticks) {
        n = choose_ticks(&f->x, ticks);
        x_ticks = ticks;
    }
    for (size_t i = 0; i < n; i++) {
        double at = share(&f->x, x_ticks[i]), x = x_of(f, x_ticks[i]);
        if (at < -1e-9 || at > 1 + 1e-9) continue;
        print_number(text, sizeof text, x_ticks[i]);
        html_add(p,
                 "<path class=\"mark\" d=\"M%.1f %dv4\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\" "
                 "text-anchor=\"middle\">%s</text>",
                 x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 17, text);
    }
    html_add(p, "<path class=\"axis\" d=\"M%d %dH%d\"/>", LEFT, HEIGHT - BOTTOM, f->width - RIGHT);
    html_add(p, "<text class=\"label\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
             (LEFT + f->width - RIGHT) / 2, HEIGHT - 8);
    html_string(p, c->x_label);
    html_add(p,
             "</text><text class=\"label\" text-anchor=\"middle\" "
             "transform=\"translate(14 %d) rotate(-90)\">",
             (TOP + HEIGHT - BOTTOM) / 2);
    html_string(p, c->y_label);
    html_add(p, "</text>");
}

/* From the line down to the axis. */
static void draw_area(html *p, const frame *f, const chart_series *s) {
    int bottom = HEIGHT - BOTTOM;
    double last = 0;
    bool begun = false;
    html_add(p, "<path class=\"area c%d\" d=\"", s->colour);
    for (size_t i = 0; i < s->n; i++) {
        if (!usable(s->x[i], f->x.log) || !usable(s->y[i], f->y.log)) continue;
        last = x_of(f, s->x[i]);
        if (!begun) html_add(p, "M%.1f %d", last, bottom);
        begun = true;
        html_add(p, "L%.1f %.1f", last, y_of(f, s->y[i]));
    }
    if (begun) html_add(p, "L%.1f %dZ", last, bottom);
    html_add(p, "\"/>");
}

static void draw_series(html *p, const frame *f, const chart_series *s) {
    if (s->filled) draw_area(p, f, s);
    bool pen_down = false;
    html_add(p, "<g class=\"series c%d%s\"><title>", s->colour, s->dashed ? " dashed" : "");
    html_string(p, s->name);
    html_add(p, "</title><path d=\"");
    for (size_t i = 0; !s->no_line && i < s->n; i++) {
        bool good = usable(s->x[i], f->x.log) && usable(s->y[i], f->y.log);
        if (good)
            html_add(p, "%c%.1f %.1f", pen_down ? 'L' : 'M', x_of(f, s->x[i]), y_of(f, s->y[i]));
        pen_down = good;
    }
    html_add(p, "\"/>");
    for (size_t i = 0; s->dots && i < s->n; i++) {
        if (!usable(s->x[i], f->x.log) || !usable(s->y[i], f->y.log)) continue;
        html_add(p, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>", x_of(f, s->x[i]),
                 y_of(f, s->y[i]));
        html_string(p, s->name);
        html_add(p, ": %g at %g</title></circle>", s->y[i], s->x[i]);
    }
    html_add(p, "</g>");
}

static void draw_legend(html *p, const chart *c) {
    html_add(p, "<ul class=\"legend\">");
    for (size_t i = 0; i < c->n; i++) {
        if (c->series[i].unlisted) continue;
        html_add(
            p,
            "<li class=\"c%d%s\"><svg width=\"22\" height=\"10\" aria-hidden=\"true\"><path d=\"M0 "
            "5H22\"/></svg>",
            c->series[i].colour, c->series[i].dashed ? " dashed" : "");
        html_add(p, "<span>");
        html_string(p, c->series[i].name);
        html_add(p, "</span></li>");
    }
    html_add(p, "</ul>");
}

void svg_plot(html *p, const chart *c) {
    frame f = make_frame(c);
    draw_axes(p, &f);
    for (size_t i = c->n; i-- > 0;) draw_series(p, &f, &c->series[i]);
}

void svg_chart(html *p, const chart *c) {
    html_add(p, "<figure class=\"chart%s\" id=\"%s\"><figcaption>", c->wide ? " wide" : "", c->id);
    html_string(p, c->title);
    html_add(p, "</figcaption>");
    if (c->n > 1) draw_legend(p, c);
    html_add(p,
             "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t %s-d\"><title "
             "id=\"%s-t\">",
             svg_width(c), HEIGHT, c->id, c->id, c->id);
    html_string(p, c->title);
    html_add(p, "</title><desc id=\"%s-d\">", c->id);
    html_string(p, c->about);
    html_add(p, "</desc>");
    svg_plot(p, c);
    html_add(p, "</svg></figure>\n");
}
