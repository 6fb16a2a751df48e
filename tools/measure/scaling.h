/* floor 5.5 - scaling: time per token and state of several settings, by text length. */
#ifndef SCALING_H
#define SCALING_H

#include "session.h"
#include "terminal.h"

enum { SCALING_MAX_CONTEXTS = 64 };

typedef struct scaling_point {
    bool measured;            /* false: time ran out, or the model has no such positions */
    double read_ms, write_ms; /* per token after `context` others: many at once, one alone */
    size_t state_bytes;       /* of a session with that context; known even if not measured */
} scaling_point;

typedef struct scaling_row {
    char name[128];
    pf_session_options options; /* context is ignored */
    scaling_point points[SCALING_MAX_CONTEXTS];
    double write_crossing; /* context from which softmax takes longer per token; 0: already at the
                              shortest; INFINITY: at none measured */
    size_t state_crossing; /* context from which softmax's state is larger */
} scaling_row;

typedef struct scaling {
    const pf_model *model;
    scaling_row *rows; /* [n_rows]; row 0 is softmax. The caller sets names and options */
    size_t n_rows;
    size_t contexts[SCALING_MAX_CONTEXTS]; /* ascending */
    size_t n_contexts;
    double seconds; /* for all rows: an equal share each, and what is left for softmax */
    void (*tell)(void *context, const char *name, size_t tokens); /* may be NULL */
    void *context;
} scaling;

/* Every row reads random tokens up to the longest context or until its time is up, and stops at
 * every context to time single tokens. Ctrl-C ends the run and keeps what was measured. */
bool scaling_run(scaling *s, pf_error *error);

/* Multiplications per token, layer and head in theory: 2 D n for exact attention to n of the
 * `context` tokens (scores, and the sum of values), plus 2 M D for random features. */
double scaling_theory(const scaling *s, size_t row, size_t context);
/* The context at which softmax and this row need equally many: M + window + sinks. */
double scaling_theory_crossing(const scaling *s, size_t row);

void scaling_print_table(const scaling *s, output *out);
void scaling_print_csv(const scaling *s, output *out);
json_t *
scaling_json(const scaling *s); /* {"contexts", "results", "crossings"}; NULL if memory runs out */

#endif
