/* floor 3.4 - Jinja functions: what templates can call by name. */
#ifndef PF_JINJA_FUNCTIONS_H
#define PF_JINJA_FUNCTIONS_H

#include "jinja_run.h"

/* range, namespace, dict, raise_exception, strftime_now; NULL if there is no such function. */
const jinja_builtin *pf_jinja_function(jinja_string name);

#endif
