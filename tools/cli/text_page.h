/* floor 5.3 - text page: paragraphs, rows of numbers and tokens in 80 columns, step by step. */
#ifndef TEXT_PAGE_H
#define TEXT_PAGE_H

#include "terminal.h"
#include "tokenizer.h"

enum { PAGE_WIDTH = 80, CELL_SIZE = 32, TOKEN_SIZE = 128 };

typedef struct text_page {
    output *out;
    bool pauses; /* wait for Enter before each heading but the first */
    bool left;   /* the reader said q, or Ctrl-D: nothing more is printed */
    int step;    /* headings printed so far */
} text_page;

/* "3. Title", numbered, with a rule below. */
void text_page_heading(text_page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A paragraph, wrapped; and one line as it is, indented by 4. */
void text_page_paragraph(text_page *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_page_line(text_page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "    q [32]    0.1234 ...": the first numbers of x [n]. */
void text_page_numbers(text_page *p, const char *label, const float *x, size_t n);
/* Where it is computed: "    in engine/forward.c: embed". tests/test_explain.sh looks it up. */
void text_page_code(text_page *p, const char *file, const char *function);

/* x in `width` columns: 0.1234, -12.3456, 1.2e+09, into text [CELL_SIZE]; returns text. */
const char *cell(double x, int width, char *text);
/* The same for sign * exp(log), which need not fit a double ("e^1234"). */
const char *cell_of_log(int sign, double log, int width, char *text);

/* A token in quotes, escaped, cut to and filled up to `width` columns, into text [TOKEN_SIZE]; without a
 * tokenizer its id. For use in text_page_paragraph give the most columns as a negative width: it is not filled
 * up, and its spaces do not end a line. */
const char *token_cell(const pf_tokenizer *tokenizer, int32_t id, int width, char *text);

#endif
