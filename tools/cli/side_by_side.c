/* floor 5.3 - side by side: two texts in two columns, with a mark where they differ. */
#include "side_by_side.h"

#include "utf8.h"

#include <string.h>

/* One column's text; what is left of it begins at `at`. */
typedef struct column {
    const char *text;
    size_t at, size, common; /* bytes */
} column;

/* A line: bytes [begin, end) of the text. */
typedef struct line {
    size_t begin, end;
    int cells;
} line;

/* Takes the next line, at most `width` characters: up to a newline or the last space that fits. */
static line next_line(column *c, int width) {
    line l = {c->at, c->at, 0};
    size_t i = c->at, space = 0;
    int cells = 0, cells_at_space = 0;
    while (c->text[i] && c->text[i] != '\n' && cells < width) {
        if (c->text[i] == ' ') {
            space = i;
            cells_at_space = cells;
        }
        i += pf_utf8_next(c->text + i, c->size - i).size;
        cells++;
    }
    bool whole = !c->text[i] || c->text[i] == '\n' || c->text[i] == ' ';
    if (!whole && space > c->at) {
        i = space;
        cells = cells_at_space;
    }
    l.end = i;
    l.cells = cells;
    c->at = i + (c->text[i] == '\n' || c->text[i] == ' ');
    return l;
}

static void print_bytes(output *out, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)text[i];
        char shown = byte < 0x20 || byte == 0x7F ? ' ' : text[i];
        output_write(out, &shown, 1);
    }
}

static void print_line(output *out, const column *c, line l, int width, bool colour) {
    size_t split = c->common < l.begin ? l.begin : c->common > l.end ? l.end : c->common;
    print_bytes(out, c->text + l.begin, split - l.begin);
    if (split < l.end) {
        if (colour) output_printf(out, "\x1b[1;33m");
        print_bytes(out, c->text + split, l.end - split);
        if (colour) output_printf(out, "\x1b[0m");
    }
    output_printf(out, "%*s", width - l.cells, "");
}

/* True if nothing but white space is left. */
static bool ended(const column *c) { return c->text[c->at + strspn(c->text + c->at, " \n")] == 0; }

void print_side_by_side(output *out, const char *left_title, const char *left,
                        const char *right_title, const char *right, size_t common, int width,
                        bool colour) {
    int each = (width - 3) / 2;
    column a = {left, 0, strlen(left), common}, b = {right, 0, strlen(right), common};
    output_printf(out, "%s%-*.*s   %.*s%s\n", colour ? "\x1b[1m" : "", each, each, left_title, each,
                  right_title, colour ? "\x1b[0m" : "");
    while (!ended(&a) || !ended(&b)) {
        line l = next_line(&a, each), r = next_line(&b, each);
        bool differs = l.end > common || r.end > common;
        print_line(out, &a, l, each, colour);
        output_printf(out, differs ? " | " : "   ");
        print_line(out, &b, r, r.cells, colour);
        output_printf(out, "\n");
    }
}
