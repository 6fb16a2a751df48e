/* floor 3.5 - Jinja tests: what may stand behind `is`. */
#ifndef PF_JINJA_TESTS_H
#define PF_JINJA_TESTS_H

#include "jinja_run.h"

/* A test gives a truth value. NULL if there is none of that name. */
jinja_call pf_jinja_test(jinja_string name);

#endif
