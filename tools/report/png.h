/* floor 5.3 - png: a small picture of up to 256 colours, as a data: URL. */
#ifndef PNG_H
#define PNG_H

#include "html.h"

enum { PNG_MOST_COLOURS = 256 };

/* Red, green, blue and alpha of each of n colours. Up to 16 take half a byte a pixel. */
typedef struct png_palette {
    size_t n;
    uint8_t rgba[PNG_MOST_COLOURS][4];
} png_palette;

/* Writes "data:image/png;base64,..." of pixels [height, width], each below palette->n; width
 * and height up to 1024. (PNG specification, second edition.) */
void png_data_address(html *p, const uint8_t *pixels, size_t width, size_t height,
                      const png_palette *palette);

#endif
