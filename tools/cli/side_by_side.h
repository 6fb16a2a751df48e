/* floor 5.3 - side by side: two texts in two columns, with a mark where they differ. */
#ifndef SIDE_BY_SIDE_H
#define SIDE_BY_SIDE_H

#include "terminal.h"

/* Both texts [NUL-terminated, UTF-8] share their first `common` bytes. They are wrapped at words
 * into two columns that together fill `width`. A bar stands between lines that differ; with
 * `colour`, the part that differs is highlighted. Control characters are printed as spaces. */
void print_side_by_side(output *out, const char *left_title, const char *left,
                        const char *right_title, const char *right, size_t common, int width,
                        bool colour);

#endif
