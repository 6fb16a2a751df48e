/* floor 5.7 - explain why: why Performer attention is built as it is, shown on real numbers. */
#ifndef EXPLAIN_WHY_H
#define EXPLAIN_WHY_H

#include "row_error.h"
#include "text_page.h"

enum { EXPLAIN_WHY_DRAWS = 64, EXPLAIN_WHY_LENGTHS = 6 };

typedef struct explain_why {
    pf_map_kind map;           /* of the random features: the run's, or positive if it has none */
    row_error orthogonal, iid; /* over EXPLAIN_WHY_DRAWS draws each */
    head_trace positive, trig; /* the same head, without window and sinks */
    row_error trig_row;
    size_t negative; /* tokens with a trig denominator that is not positive */
    size_t softmax_bytes_per_token, favor_bytes; /* of the whole model */
    double break_even; /* tokens: beyond it Performer's state is the smaller one */
    struct {
        size_t n;
        size_t softmax_bytes, favor_bytes; /* state of the whole model */
        double softmax_flops, favor_flops; /* attention of one layer over the whole text */
    } lengths[EXPLAIN_WHY_LENGTHS];
} explain_why;

/* Free it whether or not this succeeds. */
bool explain_why_measure(explain_why *l, const explain_run *run, pf_error *error);
void explain_why_free(explain_why *l);

void explain_why_print(const explain_why *l, const explain_run *run, text_page *p);
json_t *explain_why_json(const explain_why *l, const explain_run *run);

/* log |estimated denominator / exact denominator| of token t, and the sign of the estimate. */
double explain_why_denominator(const explain_run *run, const head_trace *trace, size_t t,
                               int *sign);

#endif
