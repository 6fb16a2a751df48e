/* floor 5.3 - CSV table: the data of a figure, read from text. */
#include "csv_table.h"

#include "memory.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    char *at; /* cells are cut out of the text where they stand */
    size_t line;
} reader;

/* Cuts one cell out, and returns it. *last: the line ends behind it. NULL if a quote is open. */
static char *take_cell(reader *r, bool *last) {
    char *cell = r->at, *to = cell;
    bool quoted = *r->at == '"';
    if (quoted) r->at++;
    for (; *r->at; r->at++) {
        if (quoted && *r->at == '"') {
            if (r->at[1] != '"') break;
            r->at++;
        } else if (!quoted && (*r->at == ',' || *r->at == '\n')) {
            break;
        }
        *to++ = *r->at;
    }
    if (quoted && *r->at++ != '"') return NULL;
    char end = *r->at;
    if (end && end != ',' && end != '\n') return NULL;
    *last = end != ',';
    if (end) r->at++;
    *to = '\0';
    return cell;
}

static void skip_comments(reader *r) {
    while (*r->at == '#' || *r->at == '\n') {
        r->at += strcspn(r->at, "\n");
        if (*r->at) r->at++;
        r->line++;
    }
}

/* Cells of one line to row [most]; how many there are, or SIZE_MAX after a message. */
static size_t take_row(reader *r, const char **row, size_t most, const char *name,
                       pf_error *error) {
    size_t n = 0;
    for (bool last = false; !last; n++) {
        char *cell = take_cell(r, &last);
        if (!cell || n == most) {
            pf_fail(error, "%s:%zu: %s", name, r->line,
                    cell ? "more cells than there are columns" : "a quote does not end");
            return SIZE_MAX;
        }
        row[n] = cell;
    }
    r->line++;
    return n;
}

static size_t count(const char *text, char c) {
    size_t n = 0;
    for (; *text; text++) n += *text == c;
    return n;
}

bool csv_table_parse(csv_table *t, const char *bytes, size_t size, const char *name,
                     pf_error *error) {
    *t = (csv_table){.name = name};
    if (memchr(bytes, '\0', size)) return pf_fail(error, "%s is no text: it has a NUL byte", name);
    t->text = pf_strndup(bytes, size, error);
    if (!t->text) return false;
    size_t most = count(t->text, ',') + count(t->text, '\n') + 1;
    t->cells = pf_calloc(most, sizeof *t->cells, "the data", error);
    if (!t->cells) return false;
    reader r = {t->text, 1};
    skip_comments(&r);
    if (!*r.at) return pf_fail(error, "%s has no line that names the columns", name);
    t->n_columns = take_row(&r, t->cells, most, name, error);
    if (t->n_columns == SIZE_MAX) return false;
    for (skip_comments(&r); *r.at; skip_comments(&r)) {
        size_t line = r.line, n = take_row(&r, t->cells + (t->n_rows + 1) * t->n_columns,
                                           t->n_columns, name, error);
        if (n == SIZE_MAX) return false;
        if (n != t->n_columns)
            return pf_fail(error, "%s:%zu: %zu cells, but there are %zu columns", name, line, n,
                           t->n_columns);
        t->n_rows++;
    }
    return t->n_rows > 0 || pf_fail(error, "%s has no rows", name);
}

void csv_table_free(csv_table *t) {
    pf_free((void *)t->cells);
    pf_free(t->text);
    *t = (csv_table){0};
}

const char *csv_table_cell(const csv_table *t, size_t row, size_t column) {
    return t->cells[(row + 1) * t->n_columns + column];
}

bool csv_table_column(const csv_table *t, const char *column, size_t *index, pf_error *error) {
    for (*index = 0; *index < t->n_columns; ++*index)
        if (strcmp(t->cells[*index], column) == 0) return true;
    return pf_fail(error, "%s has no column \"%s\"", t->name, column);
}

bool csv_table_numbers(const csv_table *t, const char *column, double *values, pf_error *error) {
    size_t index;
    if (!csv_table_column(t, column, &index, error)) return false;
    for (size_t i = 0; i < t->n_rows; i++) {
        const char *cell = csv_table_cell(t, i, index);
        char *end;
        values[i] = *cell ? strtod(cell, &end) : NAN;
        if (*cell && (*end || !isfinite(values[i])))
            return pf_fail(error, "%s, column \"%s\", row %zu: \"%.40s\" is not a number", t->name,
                           column, i + 1, cell);
    }
    return true;
}
