/* floor 3.4 - Jinja format: values put into the places of a text, by % and by {}. */
#ifndef PF_JINJA_FORMAT_H
#define PF_JINJA_FORMAT_H

#include "jinja_run.h"

/* text % values (a tuple, or one value): %s %r %d %i %x %f %.Nf %%. */
bool pf_jinja_percent(jinja_run *run, jinja_string text, const jinja_value *values,
                      jinja_value *out);
/* The filter format: "text"|format(values ...). */
bool pf_jinja_format_filter(jinja_run *run, const jinja_arguments *arguments, jinja_value *out);
/* The method text.format(values ..., name=value): {} {0} {name} {{ }}. */
bool pf_jinja_format_method(jinja_run *run, const jinja_arguments *arguments, jinja_value *out);

#endif
