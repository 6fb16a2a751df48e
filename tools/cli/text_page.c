/* floor 5.3 - text page: paragraphs, rows of numbers and tokens in 80 columns, step by step. */
#include "text_page.h"

#include "utf8.h"

#include <utf8proc.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 4, LABEL = 18, NUMBERS = 5, GLUE = '\x1f' };

/* The number of bytes of the character at text [n], and the columns it takes; 0 if it is not valid
 * UTF-8 or is a control character. */
static size_t character(const char *text, size_t n, int *columns) {
    pf_utf8 c = pf_utf8_next(text, n);
    if (!c.valid || c.code < 0x20 || (c.code >= 0x7F && c.code < 0xA0)) return 0;
    *columns = utf8proc_charwidth((utf8proc_int32_t)c.code);
    return c.size;
}

static int columns_of(const char *text, size_t n) {
    int sum = 0;
    for (size_t i = 0; i < n;) {
        int columns = 1;
        size_t length = character(text + i, n - i, &columns);
        sum += columns;
        i += length ? length : 1;
    }
    return sum;
}

static void wrap(text_page *p, const char *text) {
    int column = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        int columns = columns_of(text, length);
        if (column > 0 && column + 1 + columns > PAGE_WIDTH) {
            output_printf(p->out, "\n");
            column = 0;
        } else if (column > 0) {
            output_printf(p->out, " ");
            column++;
        }
        for (size_t i = 0; i < length; i++)
            output_write(p->out, text[i] == GLUE ? " " : text + i, 1);
        column += columns;
        text += length;
        text += strspn(text, " ");
    }
    output_printf(p->out, "\n");
}

static void format_text(char *text, size_t size, const char *format, va_list arguments) {
    if (vsnprintf(text, size, format, arguments) < 0) text[0] = 0;
}

/* True if the reader wants to go on. */
static bool pause_for_reader(text_page *p) {
    char line[64];
    fflush(stdout);
    fputs("\n-- Enter: next step, q: quit -- ", stderr);
    bool on = fgets(line, sizeof line, stdin) && line[0] != 'q';
    if (!on) fputc('\n', stderr);
    p->left = !on;
    return on;
}

void text_page_heading(text_page *p, const char *format, ...) {
    char text[256];
    if (p->left || (p->pauses && p->step > 0 && !pause_for_reader(p))) return;
    p->step++;
    va_list arguments;
    va_start(arguments, format);
    format_text(text, sizeof text, format, arguments);
    va_end(arguments);
    output_printf(p->out, "\n%d. %s\n", p->step, text);
    int width = columns_of(text, strlen(text)) + (p->step < 10 ? 3 : 4);
    for (int i = 0; i < width && i < PAGE_WIDTH; i++) output_printf(p->out, "-");
    output_printf(p->out, "\n");
}

void text_page_paragraph(text_page *p, const char *format, ...) {
    char text[4096];
    if (p->left) return;
    va_list arguments;
    va_start(arguments, format);
    format_text(text, sizeof text, format, arguments);
    va_end(arguments);
    wrap(p, text);
}

void text_page_line(text_page *p, const char *format, ...) {
    char text[512];
    if (p->left) return;
    va_list arguments;
    va_start(arguments, format);
    format_text(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') text[--n] = 0;
    output_printf(p->out, "%*s%s\n", INDENT, "", text);
}

void text_page_numbers(text_page *p, const char *label, const float *x, size_t n) {
    char line[256], text[CELL_SIZE];
    int used = snprintf(line, sizeof line, "%s [%zu]", label, n);
    used = snprintf(line + used, sizeof line - (size_t)used, "%*s", used < LABEL ? LABEL - used : 1,
                    "") +
           used;
    for (size_t i = 0; i < n && i < NUMBERS; i++)
        used +=
            snprintf(line + used, sizeof line - (size_t)used, " %s", cell((double)x[i], 10, text));
    text_page_line(p, "%s%s", line, n > NUMBERS ? " .." : "");
}

void text_page_code(text_page *p, const char *file, const char *function) {
    text_page_line(p, "in %s: %s", file, function);
}

const char *cell(double x, int width, char *text) {
    double size = fabs(x);
    if (x == 0)
        snprintf(text, CELL_SIZE, "%*s", width, "0");
    else if (size >= 1e-3 && size < 1e4)
        snprintf(text, CELL_SIZE, "%*.4f", width, x);
    else
        snprintf(text, CELL_SIZE, "%*.2e", width, x);
    return text;
}

const char *cell_of_log(int sign, double log, int width, char *text) {
    char number[CELL_SIZE];
    if (fabs(log) < 600) return cell(sign * exp(log), width, text);
    snprintf(number, sizeof number, "%se^%.0f", sign < 0 ? "-" : "", log);
    snprintf(text, CELL_SIZE, "%*s", width, number);
    return text;
}

/* Writes the character at bytes [n], escaped if need be, to shown [8]; returns its byte count. */
static size_t show(const char *bytes, size_t n, char *shown, int *columns) {
    size_t length = character(bytes, n, columns);
    if (length > 0 && *columns > 0) {
        memcpy(shown, bytes, length);
        shown[length] = 0;
        return length;
    }
    if (*bytes == '\n')
        memcpy(shown, "\\n", 3);
    else
        snprintf(shown, 8, "\\x%02x", (unsigned char)*bytes);
    *columns = (int)strlen(shown);
    return 1;
}

const char *token_cell(const pf_tokenizer *tokenizer, int32_t id, int width, char *text) {
    size_t n = 0, used = 0;
    bool fills = width > 0;
    width = abs(width);
    const char *bytes = tokenizer ? pf_tokenizer_bytes(tokenizer, id, true, &n) : NULL;
    if (!bytes) {
        snprintf(text, TOKEN_SIZE, "%-*d", fills ? width : 0, (int)id);
        return text;
    }
    int column = 1;
    text[used++] = '"';
    for (size_t i = 0; i < n;) {
        char shown[8];
        int columns = 1;
        i += show(bytes + i, n - i, shown, &columns);
        bool fits = column + columns + (i < n ? 3 : 1) <= width;
        const char *piece = fits ? shown : "..";
        if (used + strlen(piece) + (size_t)width + 2 >= TOKEN_SIZE) piece = "..";
        size_t length = strlen(piece);
        memcpy(text + used, piece, length);
        used += length;
        column += fits ? columns : 2;
        if (piece != shown) break;
    }
    text[used++] = '"';
    column++;
    for (size_t i = 0; !fills && i < used; i++)
        if (text[i] == ' ') text[i] = GLUE;
    for (; fills && column < width; column++) text[used++] = ' ';
    text[used] = 0;
    return text;
}
