/* floor 5.3 - word wrap: a text that comes in pieces, broken between words at a terminal's edge. */
#ifndef WORD_WRAP_H
#define WORD_WRAP_H

#include "terminal.h"

enum { WORD_MOST = 256 };

/* A word is printed as it comes. If it turns out not to fit its line, it is erased there and goes
 * on in the next one. Zero: no wrapping. */
typedef struct word_wrap {
    size_t width;         /* columns that may be used; 0: any number */
    size_t column;        /* where the cursor is */
    char word[WORD_MOST]; /* what has been printed of the word at the cursor */
    size_t n_word, word_columns;
} word_wrap;

/* Begins a text at the start of a line of a terminal with so many columns. */
void word_wrap_start(word_wrap *wrap, size_t columns);
/* Prints a piece of UTF-8, whole characters; false after the first failure of `out`. */
bool word_wrap_write(word_wrap *wrap, output *out, const char *bytes, size_t n);

#endif
