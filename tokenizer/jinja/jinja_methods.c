/* floor 3.5 - Jinja methods: those of strings, lists, dictionaries and loops.
 *
 * Methods that change their value are not here: transformers runs templates in a sandbox that
 * forbids them. */
#include "jinja_methods.h"

#include "jinja_format.h"
#include "jinja_strings.h"

/* ---- dictionaries ---- */

static bool push_pair(jinja_run *run, jinja_list *list, const jinja_entry *entry) {
    jinja_value pair;
    return pf_jinja_new_list(&run->heap, JINJA_TUPLE, &pair) &&
           pf_jinja_push(&run->heap, pair.list, entry->key) &&
           pf_jinja_push(&run->heap, pair.list, entry->value) &&
           pf_jinja_push(&run->heap, list, pair);
}

bool pf_jinja_entries(jinja_run *run, const jinja_dict *dict, bool keys, bool values,
                      jinja_value *out) {
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, out)) return false;
    for (size_t i = 0; i < dict->n; i++) {
        const jinja_entry *entry = &dict->entries[i];
        bool good = keys && values
                        ? push_pair(run, out->list, entry)
                        : pf_jinja_push(&run->heap, out->list, keys ? entry->key : entry->value);
        if (!good) return false;
    }
    return true;
}

static bool call_items(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return pf_jinja_entries(run, arguments->positional[0].dict, true, true, out);
}

static bool call_keys(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return pf_jinja_entries(run, arguments->positional[0].dict, true, false, out);
}

static bool call_values(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return pf_jinja_entries(run, arguments->positional[0].dict, false, true, out);
}

static bool call_get(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *key = pf_jinja_argument(arguments, 1, "key");
    const jinja_value *fallback = pf_jinja_argument(arguments, 2, "default");
    if (!key) return pf_jinja_fail(run, "get needs a key");
    const jinja_value *found = pf_jinja_get(&run->heap, arguments->positional[0].dict, *key);
    *out = found ? *found : fallback ? *fallback : pf_jinja_none();
    return true;
}

static bool call_copy(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    (void)run; /* nothing can change it */
    *out = arguments->positional[0];
    return true;
}

/* ---- lists ---- */

static bool call_index(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_list *list = arguments->positional[0].list;
    const jinja_value *what = pf_jinja_argument(arguments, 1, "value");
    for (size_t i = 0; what && i < list->n; i++)
        if (pf_jinja_equal(&run->heap, &list->items[i], what)) {
            *out = pf_jinja_integer((int64_t)i);
            return true;
        }
    return pf_jinja_fail(run, "index: the value is not in the list");
}

static bool call_count(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_list *list = arguments->positional[0].list;
    const jinja_value *what = pf_jinja_argument(arguments, 1, "value");
    int64_t count = 0;
    if (!what) return pf_jinja_fail(run, "count needs a value");
    for (size_t i = 0; i < list->n; i++) count += pf_jinja_equal(&run->heap, &list->items[i], what);
    *out = pf_jinja_integer(count);
    return true;
}

static bool call_find_index(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    if (!pf_jinja_find_in(run, arguments, out)) return false;
    return out->integer >= 0 || pf_jinja_fail(run, "index: the text is not there");
}

/* ---- loops ---- */

static bool call_cycle(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_loop *loop = arguments->positional[0].loop;
    if (arguments->n < 2) return pf_jinja_fail(run, "loop.cycle needs values");
    *out = arguments->positional[1 + loop->index % (arguments->n - 1)];
    return true;
}

/* Whether the values differ from those of the last call. */
static bool call_changed(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_loop *loop = arguments->positional[0].loop;
    jinja_value now, before = {.kind = JINJA_LIST, .list = loop->seen};
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, &now)) return false;
    for (size_t i = 1; i < arguments->n; i++)
        if (!pf_jinja_push(&run->heap, now.list, arguments->positional[i])) return false;
    *out = pf_jinja_bool(!loop->seen || !pf_jinja_equal(&run->heap, &now, &before));
    loop->seen = now.list;
    return true;
}

/* ---- all of them ---- */

static const jinja_builtin of_text[] = {
    {"strip", pf_jinja_strip},
    {"lstrip", pf_jinja_lstrip},
    {"rstrip", pf_jinja_rstrip},
    {"split", pf_jinja_split},
    {"rsplit", pf_jinja_rsplit},
    {"splitlines", pf_jinja_splitlines},
    {"partition", pf_jinja_partition},
    {"rpartition", pf_jinja_rpartition},
    {"startswith", pf_jinja_startswith},
    {"endswith", pf_jinja_endswith},
    {"removeprefix", pf_jinja_removeprefix},
    {"removesuffix", pf_jinja_removesuffix},
    {"replace", pf_jinja_replace},
    {"find", pf_jinja_find_in},
    {"rfind", pf_jinja_rfind_in},
    {"index", call_find_index},
    {"count", pf_jinja_count_in},
    {"join", pf_jinja_join_by},
    {"upper", pf_jinja_upper},
    {"lower", pf_jinja_lower},
    {"title", pf_jinja_title},
    {"capitalize", pf_jinja_capitalize},
    {"isspace", pf_jinja_isspace},
    {"isalpha", pf_jinja_isalpha},
    {"isdigit", pf_jinja_isdigit},
    {"isdecimal", pf_jinja_isdigit},
    {"isnumeric", pf_jinja_isdigit},
    {"isalnum", pf_jinja_isalnum},
    {"isupper", pf_jinja_isupper},
    {"islower", pf_jinja_islower},
    {"ljust", pf_jinja_ljust},
    {"rjust", pf_jinja_rjust},
    {"center", pf_jinja_center},
    {"zfill", pf_jinja_zfill},
    {"format", pf_jinja_format_method},
    {NULL, NULL},
};

static const jinja_builtin of_dict[] = {
    {"items", call_items}, {"keys", call_keys}, {"values", call_values},
    {"get", call_get},     {"copy", call_copy}, {NULL, NULL},
};

static const jinja_builtin of_list[] = {
    {"index", call_index}, {"count", call_count}, {"copy", call_copy}, {NULL, NULL}};

static const jinja_builtin of_loop[] = {
    {"cycle", call_cycle}, {"changed", call_changed}, {NULL, NULL}};

jinja_call pf_jinja_method(const jinja_value *value, jinja_string name) {
    const jinja_builtin *methods = value->kind == JINJA_TEXT    ? of_text
                                   : value->kind == JINJA_DICT  ? of_dict
                                   : value->kind == JINJA_LIST  ? of_list
                                   : value->kind == JINJA_TUPLE ? of_list
                                   : value->kind == JINJA_LOOP  ? of_loop
                                                                : NULL;
    for (; methods && methods->name; methods++)
        if (pf_jinja_is(name, methods->name)) return methods->call;
    return NULL;
}
