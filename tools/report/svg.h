/* floor 5.3 - svg: line charts, drawn as text. */
#ifndef SVG_H
#define SVG_H

#include "html.h"

typedef struct chart_series {
    const char *name;
    const double *x,
        *y; /* [n]; points that are not finite (or not positive on a log axis) are left out */
    size_t n;
    int colour;  /* 0 ... 7, by the page's style sheet; -1: the colour of text */
    bool dashed; /* a theory, or one series too many for the colours */
    bool dots;   /* measured points worth seeing */
} chart_series;

typedef struct chart {
    const char *id;    /* of the element; unique in the page */
    const char *title; /* above it */
    const char *about; /* what it shows, for those who cannot see it */
    const char *x_label, *y_label;
    bool wide; /* over the whole page, not half of it */
    bool log_x, log_y;
    double y_floor;        /* log axis: what is below it is drawn on it; 0: none */
    const double *x_ticks; /* [n_x_ticks] or NULL: chosen */
    size_t n_x_ticks;
    const chart_series *series;
    size_t n;
} chart;

/* A <figure> with title, legend and drawing. */
void svg_chart(html *p, const chart *c);

#endif
