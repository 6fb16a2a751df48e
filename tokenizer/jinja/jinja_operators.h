/* floor 3.5 - Jinja operators: arithmetic and slices, as in Python. */
#ifndef PF_JINJA_OPERATORS_H
#define PF_JINJA_OPERATORS_H

#include "jinja_run.h"

/* a operator b: + - * / // % ** ~ */
bool pf_jinja_binary(jinja_run *run, jinja_string operator, const jinja_value * a,
                     const jinja_value *b, jinja_value *out);
bool pf_jinja_negate(jinja_run *run, const jinja_value *value, jinja_value *out);
/* a operator b: == != < <= > >= in, not in */
bool pf_jinja_relation(jinja_run *run, jinja_string operator, const jinja_value * a,
                       const jinja_value *b, bool *holds);
/* value[bounds[0]:bounds[1]:bounds[2]]; a bound that is none is left out. */
bool pf_jinja_slice(jinja_run *run, const jinja_value *value, const jinja_value bounds[3],
                    jinja_value *out);

#endif
