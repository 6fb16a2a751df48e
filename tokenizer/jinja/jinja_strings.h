/* floor 3.4 - Jinja strings: Python's string methods. Many are filters as well.
 *
 * The first positional argument is the string; the others are as Python's.
 */
#ifndef PF_JINJA_STRINGS_H
#define PF_JINJA_STRINGS_H

#include "jinja_run.h"

#define JINJA_CALL(name)                                                                           \
    bool pf_jinja_##name(jinja_run *run, const jinja_arguments *arguments, jinja_value *out)

JINJA_CALL(strip);
JINJA_CALL(lstrip);
JINJA_CALL(rstrip);
JINJA_CALL(split);
JINJA_CALL(rsplit);
JINJA_CALL(splitlines);
JINJA_CALL(partition);
JINJA_CALL(rpartition);
JINJA_CALL(startswith);
JINJA_CALL(endswith);
JINJA_CALL(removeprefix);
JINJA_CALL(removesuffix);
JINJA_CALL(replace);
JINJA_CALL(find_in);
JINJA_CALL(rfind_in);
JINJA_CALL(count_in);
JINJA_CALL(join_by); /* the separator first, as in Python */
JINJA_CALL(upper);
JINJA_CALL(lower);
JINJA_CALL(title);
JINJA_CALL(capitalize);
JINJA_CALL(isspace);
JINJA_CALL(isalpha);
JINJA_CALL(isdigit);
JINJA_CALL(isalnum);
JINJA_CALL(isupper);
JINJA_CALL(islower);
JINJA_CALL(ljust);
JINJA_CALL(rjust);
JINJA_CALL(center);
JINJA_CALL(zfill);

/* The lines of a text, without their ends, appended to a list. */
bool pf_jinja_lines(jinja_run *run, jinja_string text, bool keep_ends, jinja_list *lines);

#endif
