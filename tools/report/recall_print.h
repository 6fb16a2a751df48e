/* floor 5.7 - recall print: how far each setting remembers, as a table, JSON or CSV. */
#ifndef RECALL_PRINT_H
#define RECALL_PRINT_H

#include "compare_print.h"
#include "recall.h"

void recall_print_table(const recall *r, output *out);
void recall_print_csv(const recall *r, output *out);
/* Adds "recall" to what compare_json made, and "recall_radius" to its reference and settings.
 * False if memory runs out. */
bool recall_add_json(const recall *r, json_t *json);

#endif
