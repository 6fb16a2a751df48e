/* floor 5.6 - compare print: a comparison as a table, JSON or CSV. */
#ifndef COMPARE_PRINT_H
#define COMPARE_PRINT_H

#include "comparison.h"
#include "terminal.h"

/* What was compared, for the headings. */
typedef struct compare_names {
    const char *model, *text; /* path of the model; path or description of the text */
    size_t n_tokens;
    bool all_texts; /* print every continuation, not only those of the closest settings */
} compare_names;

/* Means per predicted token of a row. */
double row_loss(const compared *row);
double row_kl(const compared *row);
double row_top1(const compared *row); /* from 0 to 1 */
double row_top5(const compared *row);
double row_prefill_ms(const compared *row);
double row_decode_ms(const compared *row);

/* Escape sequences, or empty texts: colours only at a terminal, and not if NO_COLOR is set
 * (no-color.org). */
typedef struct text_style {
    const char *bold, *dim, *plain;
    bool colour;
} text_style;
text_style choose_style(void);

void compare_print_table(const comparison *c, const compare_names *names, output *out);
json_t *compare_json(const comparison *c, const compare_names *names); /* NULL if memory runs out */
void compare_print_csv(const comparison *c, output *out);

#endif
