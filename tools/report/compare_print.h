/* floor 5.6 - compare print: a comparison as a table, as JSON, as comma-separated values. */
#ifndef COMPARE_PRINT_H
#define COMPARE_PRINT_H

#include "comparison.h"
#include "terminal.h"

/* What was compared, for headings. */
typedef struct compare_names {
    const char *model, *text; /* paths, or what the text is */
    size_t n_tokens;
    bool all_texts; /* every continuation, not only those of the closest settings */
} compare_names;

/* loss, perplexity and means of a row */
double row_loss(const compared *row);
double row_kl(const compared *row);
double row_top1(const compared *row); /* 0 ... 1 */
double row_top5(const compared *row);
double row_prefill_ms(const compared *row);
double row_decode_ms(const compared *row);

void compare_print_table(const comparison *c, const compare_names *names, output *out);
json_t *compare_json(const comparison *c, const compare_names *names); /* NULL without memory */
void compare_print_csv(const comparison *c, output *out);

#endif
