/* floor 3.5 - Jinja methods: functions that belong to a value, such as text.strip(). */
#ifndef PF_JINJA_METHODS_H
#define PF_JINJA_METHODS_H

#include "jinja_run.h"

/* The method of a string, list, dictionary or loop. Its first positional argument is the value.
 * NULL if it has none of that name. */
jinja_call pf_jinja_method(const jinja_value *value, jinja_string name);

/* All entries of a dictionary as (key, value), or only one of the two. */
bool pf_jinja_entries(jinja_run *run, const jinja_dict *dict, bool keys, bool values,
                      jinja_value *out);

#endif
