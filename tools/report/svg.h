/* floor 5.3 - svg: line charts as SVG text. */
#ifndef SVG_H
#define SVG_H

#include "html.h"

typedef struct chart_series {
    const char *name;
    const double *x, *y; /* [n]; skips points that are not finite, or not positive on a log axis */
    size_t n;
    int colour;    /* 0 to 7, defined in report.css; -1: the colour of text */
    bool dashed;   /* for a theory, or when the colours are used up */
    bool dots;     /* mark each point */
    bool no_line;  /* dots alone */
    bool filled;   /* the area below the line, too */
    bool unlisted; /* not in the legend */
} chart_series;

typedef struct chart {
    const char *id;    /* of the element; unique in the page */
    const char *title; /* above it */
    const char *about; /* a description for screen readers */
    const char *x_label, *y_label;
    bool wide; /* full width of the page rather than half */
    int width; /* of the drawing, in pixels; 0: as `wide` says */
    bool log_x, log_y;
    double y_from;         /* where a linear axis begins; 0: at 0, or below */
    double y_floor;        /* on a log axis, smaller values are drawn at this one; 0: no floor */
    const double *x_ticks; /* [n_x_ticks]; NULL: chosen automatically */
    size_t n_x_ticks;
    const chart_series *series;
    size_t n;
} chart;

enum { SVG_HEIGHT = 300 }; /* of the drawing of every chart */
int svg_width(const chart *c);

/* Axes and lines alone, in the rectangle from (0, 0) to (svg_width, SVG_HEIGHT). */
void svg_plot(html *p, const chart *c);

/* A <figure> with title, legend and drawing. */
void svg_chart(html *p, const chart *c);

#endif
