/* floor 5.7 - lessons: why Performer attention is built as it is, on the numbers of a walk. */
#ifndef LESSONS_H
#define LESSONS_H

#include "text_page.h"
#include "row_error.h"

enum { LESSON_DRAWS = 64, LESSON_LENGTHS = 6 };

typedef struct lessons {
    pf_map_kind map;           /* of the random features: the walk's, or what stands in for it */
    row_error orthogonal, iid; /* of LESSON_DRAWS draws each */
    head_trace positive, trig; /* the walk's head, without window and sinks */
    row_error trig_row;
    size_t negative;                             /* tokens whose trig denominator is not positive */
    size_t softmax_bytes_per_token, favor_bytes; /* of the whole model */
    double break_even; /* tokens from which Performer's state is the smaller one */
    struct {
        size_t n;
        size_t softmax_bytes, favor_bytes; /* state of the whole model */
        double softmax_flops, favor_flops; /* attention of one layer over the whole text */
    } lengths[LESSON_LENGTHS];
} lessons;

/* Free in either case. */
bool lessons_measure(lessons *l, const walk *w, pf_error *error);
void lessons_free(lessons *l);

void lessons_print(const lessons *l, const walk *w, page *p);
json_t *lessons_json(const lessons *l, const walk *w);

/* How far the estimated denominator of token t is from the exact one: log of the ratio, and its sign. */
double lesson_denominator(const walk *w, const head_trace *trace, size_t t, int *sign);

#endif
