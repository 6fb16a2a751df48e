/* floor 5.5 - scaling: time per token and state of several attentions against the length of the text. */
#ifndef SCALING_H
#define SCALING_H

#include "session.h"
#include "terminal.h"

enum { SCALING_MAX_CONTEXTS = 64 };

typedef struct scaling_point {
    bool measured;            /* false: the time ran out, or the model has no such positions */
    double read_ms, write_ms; /* per token behind `context` others: of many at once, of one */
    size_t state_bytes;       /* of a session that holds so many tokens; known unmeasured, too */
} scaling_point;

typedef struct scaling_row {
    char name[128];
    pf_session_options options; /* context is of no account */
    scaling_point points[SCALING_MAX_CONTEXTS];
    double
        write_crossing; /* context from which softmax takes longer per token; 0: from the shortest
                              on; INFINITY: not within what was measured */
    size_t state_crossing; /* context from which softmax's state is the larger one */
} scaling_row;

typedef struct scaling {
    const pf_model *model;
    scaling_row *rows; /* [n_rows]; row 0 is softmax. Names and options are the caller's */
    size_t n_rows;
    size_t contexts[SCALING_MAX_CONTEXTS]; /* ascending */
    size_t n_contexts;
    double seconds; /* to take in all: a share for each row, what is left for softmax */
    void (*tell)(void *context, const char *name, size_t tokens); /* may be NULL */
    void *context;
} scaling;

/* Every row reads random tokens up to the longest context or the end of its time, stopping at every context
 * to time single tokens. Ctrl-C ends it with what was measured. */
bool scaling_run(scaling *s, pf_error *error);

/* Multiplications per token, layer and head that theory counts: 2 D n for exact attention (scores, and
 * the sum of values; n: what is seen of `context` tokens), 2 M D for random features. */
double scaling_theory(const scaling *s, size_t row, size_t context);
/* The context at which the two counts are equal: M, or M less what a window sees. */
double scaling_theory_crossing(const scaling *s, size_t row);

void scaling_print_table(const scaling *s, output *out);
void scaling_print_csv(const scaling *s, output *out);
json_t *
scaling_json(const scaling *s); /* {"contexts", "results", "crossings"}; NULL without memory */

#endif
