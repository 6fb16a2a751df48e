/* floor 5.7 - explain page: one run of `explain` as a self-contained page for a browser.
 *
 * The page holds small maps of all heads as pictures, and of as many heads as fit the queries, keys
 * and values. From these its scripts recompute everything about a head, for any map, M, seed,
 * window and sinks (explain_math.js; tests/test_explain_page.sh compares with the engine). Without
 * scripts it shows the chosen head and the last token.
 *
 * explain_page.c writes the frame; each section has a file of its own.
 */
#ifndef EXPLAIN_PAGE_H
#define EXPLAIN_PAGE_H

#include "explain_run.h"
#include "html.h"
#include "png.h"
#include "qkv_rows.h"

enum { EXPLAIN_PAGE_TOKENS = 128, EXPLAIN_PAGE_BYTES = 2950000 };

/* Writes the page to `path`; it appears complete or not at all. `model`: the path of the file that
 * the run is of. Fails if the text has more than EXPLAIN_PAGE_TOKENS tokens. */
bool explain_page_write(const explain_run *run, const char *model, const char *path,
                        pf_error *error);

/* What the parts share. */
typedef struct explain_page {
    const explain_run *run;
    const char *model;
    qkv_rows rows;              /* of every layer, from the leading session */
    uint32_t step;              /* every step-th layer is shown, and the chosen one */
    float *softmax, *favor;     /* [H, T, T] weights of one layer at a time */
    uint8_t *pixels;            /* [T, T], or [D, M] */
    png_palette weights, signs; /* of maps; of S */
} explain_page;

void explain_page_palettes(explain_page *e);
bool explain_page_shows(const explain_page *e, uint32_t layer);
/* A token so that it can be seen, up to `most` bytes of it, in whole characters: by its id, or by
 * its position in the text. */
void explain_page_word(html *p, const explain_run *run, int32_t id, size_t most);
void explain_page_token(html *p, const explain_page *e, size_t t, size_t most);
/* A map of weights [T, T] as the address of a picture. Colour 0 to 55 stands for a weight of
 * (colour / 55)^2, 56 to 63 for -((colour - 55) / 8)^2: few colours, so that more fits the page. */
void explain_page_map(html *p, explain_page *e, const float *weights);

void explain_page_heads(html *p, explain_page *e); /* small maps of every head */
void explain_page_head(html *p, explain_page *e);  /* the chosen head: maps and the last row */
void explain_page_state(html *p, explain_page *e); /* its features, S and z */
void explain_page_data(html *p, explain_page *e, size_t room); /* numbers; at most `room` bytes */

extern const char explain_page_css[], explain_math_js[], explain_draw_js[], explain_page_js[];

#endif
