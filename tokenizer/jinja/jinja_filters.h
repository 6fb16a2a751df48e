/* floor 3.7 - Jinja filters: what may stand behind a bar. */
#ifndef PF_JINJA_FILTERS_H
#define PF_JINJA_FILTERS_H

#include "jinja_run.h"

/* Applies the filter to arguments->positional[0]. False with a message, also if there is no filter
 * of that name. */
bool pf_jinja_filter(jinja_run *run, jinja_string name, const jinja_arguments *arguments,
                     jinja_value *out);

#endif
