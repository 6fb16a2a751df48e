/* floor 5.3 - text page: paragraphs, rows of numbers and tokens in 80 columns, step by step. */
#ifndef TEXT_PAGE_H
#define TEXT_PAGE_H

#include "terminal.h"
#include "tokenizer.h"

enum { PAGE_WIDTH = 80, CELL_SIZE = 32, TOKEN_SIZE = 128 };

typedef struct text_page {
    output *out;
    bool pauses; /* wait for Enter before each heading but the first */
    bool left;   /* the reader typed q or Ctrl-D: print nothing more */
    int step;    /* headings printed so far */
} text_page;

/* A numbered and underlined heading: "3. Title". */
void text_page_heading(text_page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A wrapped paragraph; a single line as it is, indented by 4. */
void text_page_paragraph(text_page *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_page_line(text_page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first numbers of x [n]: "    q [32]    0.1234 ...". */
void text_page_numbers(text_page *p, const char *label, const float *x, size_t n);
/* Where the step is computed: "    in engine/forward.c: embed". tests/test_explain.sh checks that
 * the function exists. */
void text_page_code(text_page *p, const char *file, const char *function);

/* Writes x in `width` columns (0.1234, -12.3456, 1.2e+09) to text [CELL_SIZE] and returns it. */
const char *cell(double x, int width, char *text);
/* The same for sign * exp(log), which may be too large for a double ("e^1234"). */
const char *cell_of_log(int sign, double log, int width, char *text);

/* Writes a token, quoted and escaped, cut or padded to `width` columns, to text [TOKEN_SIZE] and
 * returns it; without a tokenizer, the token's id. For text_page_paragraph, give the largest width
 * as a negative number: the token is then not padded, and lines do not break at its spaces. */
const char *token_cell(const pf_tokenizer *tokenizer, int32_t id, int width, char *text);

#endif
