/* floor 5.3 - word wrap: a text that comes in pieces, broken between words at a terminal's edge. */
#include "word_wrap.h"

#include "utf8.h"

#include <utf8proc.h>

#include <stdio.h>
#include <string.h>

enum { LEAST_COLUMNS = 20 };

void word_wrap_start(word_wrap *wrap, size_t columns) {
    /* The last column stays free: a cursor beyond it is not where arithmetic says. */
    *wrap = (word_wrap){.width = columns < LEAST_COLUMNS ? 0 : columns - 1};
}

/* Moves the word at the cursor to the next line, or only begins a new line if there is none. */
static bool break_line(word_wrap *wrap, output *out) {
    char erase[48] = "\n";
    bool moves = wrap->n_word > 0 && wrap->word_columns < wrap->column;
    if (moves && wrap->word_columns > 0)
        snprintf(erase, sizeof erase, "\x1b[%zuD\x1b[K\n", wrap->word_columns);
    wrap->column = moves ? wrap->word_columns : 0;
    if (!moves) wrap->n_word = wrap->word_columns = 0;
    return output_write(out, erase, strlen(erase)) && output_write(out, wrap->word, wrap->n_word);
}

static bool write_character(word_wrap *wrap, output *out, const char *bytes, size_t n,
                            size_t columns) {
    if (columns > 0 && wrap->column + columns > wrap->width && !break_line(wrap, out)) return false;
    if (wrap->n_word + n > sizeof wrap->word) wrap->n_word = wrap->word_columns = 0;
    memcpy(wrap->word + wrap->n_word, bytes, n);
    wrap->n_word += n;
    wrap->word_columns += columns;
    wrap->column += columns;
    return output_write(out, bytes, n);
}

static bool write_space(word_wrap *wrap, output *out, char space) {
    size_t columns = space == '\t' ? 8 - wrap->column % 8 : 1;
    wrap->n_word = wrap->word_columns = 0;
    if (space == '\n' || wrap->column + columns > wrap->width) {
        wrap->column = 0;
        space = '\n';
    } else {
        wrap->column += columns;
    }
    return output_write(out, &space, 1);
}

bool word_wrap_write(word_wrap *wrap, output *out, const char *bytes, size_t n) {
    if (wrap->width == 0) return output_write(out, bytes, n);
    bool unbuffered = out->unbuffered, good = true;
    out->unbuffered = false; /* flush once, behind the piece */
    for (size_t i = 0; good && i < n;) {
        pf_utf8 c = pf_utf8_next(bytes + i, n - i);
        int columns = c.valid ? utf8proc_charwidth((utf8proc_int32_t)c.code) : 1;
        good =
            strchr(" \t\n", bytes[i]) && bytes[i]
                ? write_space(wrap, out, bytes[i])
                : write_character(wrap, out, bytes + i, c.size, columns > 0 ? (size_t)columns : 0);
        i += c.size;
    }
    out->unbuffered = unbuffered;
    return good && output_write(out, "", 0);
}
