/* floor 3.8 - Jinja evaluation: the value of an expression. */
#ifndef PF_JINJA_EVAL_H
#define PF_JINJA_EVAL_H

#include "jinja_run.h"

bool pf_jinja_eval(jinja_run *run, const jinja_node *node, jinja_value *out);

/* node: a chain of filters whose first one has no value of its own; it gets `value`. */
bool pf_jinja_eval_filters(jinja_run *run, const jinja_node *node, jinja_value value,
                           jinja_value *out);

/* Calls what node (a NODE_CALL) calls, with one named argument more (or NULL). */
bool pf_jinja_eval_call(jinja_run *run, const jinja_node *node, const jinja_named *more,
                        jinja_value *out);

#endif
