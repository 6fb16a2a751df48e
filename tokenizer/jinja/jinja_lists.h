/* floor 3.6 - Jinja lists: filters that choose, order and join the items of a list. */
#ifndef PF_JINJA_LISTS_H
#define PF_JINJA_LISTS_H

#include "jinja_strings.h"

/* They may call other filters and tests by name. */
JINJA_CALL(list_map);
JINJA_CALL(list_select);
JINJA_CALL(list_reject);
JINJA_CALL(list_selectattr);
JINJA_CALL(list_rejectattr);
JINJA_CALL(list_sort);
JINJA_CALL(list_dictsort);
JINJA_CALL(list_unique);
JINJA_CALL(list_min);
JINJA_CALL(list_max);
JINJA_CALL(list_sum);
JINJA_CALL(list_join);
JINJA_CALL(list_groupby);
JINJA_CALL(list_batch);

#endif
