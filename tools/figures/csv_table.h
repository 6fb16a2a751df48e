/* floor 5.3 - CSV table: the data of a figure, read from text.
 *
 * Lines that begin with # are comments: the command that made the file, and where it ran. The first
 * other line names the columns, the rest are rows with as many cells. Cells are separated by
 * commas; one in double quotes may contain commas, and "" for a quote. An empty cell is no value.
 */
#ifndef CSV_TABLE_H
#define CSV_TABLE_H

#include "error.h"

#include <stddef.h>

typedef struct csv_table {
    size_t n_columns, n_rows;
    const char **cells; /* [1 + n_rows, n_columns]: the names, then row after row */
    char *text;         /* owned, as cells is */
    const char *name;   /* of the file, for messages; borrowed */
} csv_table;

/* Reads bytes [size]. False with a message that names the line if it is no such table. Free it in
 * either case. */
bool csv_table_parse(csv_table *t, const char *bytes, size_t size, const char *name,
                     pf_error *error);
void csv_table_free(csv_table *t);

/* *index = the column of this name; false with a message if there is none. */
bool csv_table_column(const csv_table *t, const char *column, size_t *index, pf_error *error);
const char *csv_table_cell(const csv_table *t, size_t row, size_t column);
/* A column as numbers to values [n_rows]; NAN for an empty cell, an error for any other text. */
bool csv_table_numbers(const csv_table *t, const char *column, double *values, pf_error *error);

#endif
