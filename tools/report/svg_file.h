/* floor 5.4 - svg file: a drawing as a file of its own, light and dark.
 *
 * A web page shows such a file by <img>, where the page's style does not reach it. So it brings its
 * own: the colours of report.css, which change with the reader's colour scheme, on a card of their
 * own. Programs that know no colour schemes draw it light.
 */
#ifndef SVG_FILE_H
#define SVG_FILE_H

#include "svg.h"

/* From <svg> to the title above the drawing, and its end. `about` is for screen readers. The
 * drawing's elements have the classes of figure.css. */
void svg_file_begin(html *p, int width, int height, const char *title, const char *about);
void svg_file_end(html *p);

enum { SVG_FILE_TOP = 40, SVG_FILE_LEFT = 16 }; /* where a drawing may begin: below the title */

/* Text at (x, y), centred on x ("middle"), or ending or beginning there ("end", "start"). */
void svg_file_text(html *p, const char *class, double x, double y, const char *anchor,
                   const char *format, ...) __attribute__((format(printf, 6, 7)));
/* How wide a text of `size` pixels is, about: the file cannot know the reader's font. */
double svg_file_text_width(const char *text, double size);

/* A whole chart: title, legend, axes and lines. */
void svg_file_chart(html *p, const chart *c);

#endif
