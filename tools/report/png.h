/* floor 5.3 - png: a small picture of up to 16 colours, as a data: URL. */
#ifndef PNG_H
#define PNG_H

#include "html.h"

enum { PNG_COLOURS = 16 };

/* Red, green, blue and alpha of each colour. */
typedef struct png_palette {
    uint8_t rgba[PNG_COLOURS][4];
} png_palette;

/* Writes "data:image/png;base64,..." of pixels [height, width], each below PNG_COLOURS; width and
 * height up to 1024. (PNG specification, second edition.) */
void png_data_address(html *p, const uint8_t *pixels, size_t width, size_t height,
                      const png_palette *palette);

#endif
