/* floor 3.3 - Jinja run: what functions, filters and operators of a template share. */
#include "jinja_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 500 };

/* ---- failing ---- */

bool pf_jinja_work(jinja_run *run) {
    return run->heap.work <= run->max_work ||
           pf_jinja_fail(run, "it does not end within %zu steps, the limit", run->max_work);
}

bool pf_jinja_enter(jinja_run *run) {
    run->heap.work++;
    if (!pf_jinja_work(run)) return false;
    if (run->depth == MAX_DEPTH)
        return pf_jinja_fail(run, "it is nested more than %d deep, the limit", MAX_DEPTH);
    run->depth++;
    return true;
}

/* ---- arguments ---- */

const jinja_value *pf_jinja_argument(const jinja_arguments *arguments, size_t at,
                                     const char *name) {
    if (at < arguments->n) return &arguments->positional[at];
    for (size_t i = 0; name && i < arguments->n_named; i++)
        if (pf_jinja_is(arguments->named[i].name, name)) return &arguments->named[i].value;
    return NULL;
}

bool pf_jinja_string_argument(jinja_run *run, const jinja_arguments *arguments, size_t at,
                              const char *name, jinja_string *string) {
    const jinja_value *value = pf_jinja_argument(arguments, at, name);
    if (!value) return true;
    if (value->kind != JINJA_TEXT)
        return pf_jinja_fail(run, "%s is given where a string is expected",
                             pf_jinja_kind_name(value));
    *string = value->string;
    return true;
}

bool pf_jinja_integer_argument(jinja_run *run, const jinja_arguments *arguments, size_t at,
                               const char *name, int64_t *integer) {
    const jinja_value *value = pf_jinja_argument(arguments, at, name);
    if (!value || value->kind == JINJA_NONE || pf_jinja_as_integer(value, integer)) return true;
    return pf_jinja_fail(run, "%s is given where an integer is expected",
                         pf_jinja_kind_name(value));
}

bool pf_jinja_truth_argument(const jinja_arguments *arguments, size_t at, const char *name,
                             bool fallback) {
    const jinja_value *value = pf_jinja_argument(arguments, at, name);
    return value ? pf_jinja_truth(value) : fallback;
}

/* ---- items and members ---- */

bool pf_jinja_iterable(const jinja_value *value) {
    return value->kind == JINJA_UNDEFINED || value->kind == JINJA_TEXT ||
           value->kind == JINJA_LIST || value->kind == JINJA_TUPLE || value->kind == JINJA_DICT;
}

bool pf_jinja_items(jinja_run *run, const jinja_value *value, const jinja_list **items) {
    jinja_value list;
    if (value->kind == JINJA_LIST || value->kind == JINJA_TUPLE) {
        *items = value->list;
        return true;
    }
    if (!pf_jinja_iterable(value))
        return pf_jinja_fail(run, "%s has no items to go over", pf_jinja_kind_name(value));
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, &list)) return false;
    *items = list.list;
    if (value->kind == JINJA_DICT)
        for (size_t i = 0; i < value->dict->n; i++)
            if (!pf_jinja_push(&run->heap, list.list, value->dict->entries[i].key)) return false;
    jinja_string text = value->kind == JINJA_TEXT ? value->string : (jinja_string){"", 0};
    for (size_t at = 0, size = 0; at < text.n; at += size) {
        pf_jinja_char(text, at, &size);
        jinja_string one = {text.bytes + at, size};
        if (!pf_jinja_push(&run->heap, list.list, pf_jinja_text(one))) return false;
    }
    return true;
}

bool pf_jinja_undefined(jinja_run *run, const jinja_value *of, jinja_string name,
                        jinja_value *out) {
    jinja_builder b = {.heap = &run->heap};
    bool good = true;
    if (of)
        good = pf_jinja_add_name(&b, pf_jinja_kind_name(of)) && pf_jinja_add_name(&b, " has no ");
    good = good && pf_jinja_add(&b, "\"", 1) && pf_jinja_add_string(&b, name) &&
           pf_jinja_add(&b, "\"", 1) && (of || pf_jinja_add_name(&b, " is undefined"));
    *out = pf_jinja_built(&b);
    out->kind = JINJA_UNDEFINED;
    return good;
}

static bool member_of_loop(const jinja_loop *loop, jinja_string name, jinja_value *out) {
    const jinja_list *items = loop->items;
    int64_t i = (int64_t)loop->index, n = (int64_t)items->n;
    const struct {
        const char *name;
        jinja_value value;
    } members[] = {
        {"index", pf_jinja_integer(i + 1)},
        {"index0", pf_jinja_integer(i)},
        {"first", pf_jinja_bool(i == 0)},
        {"last", pf_jinja_bool(i + 1 == n)},
        {"length", pf_jinja_integer(n)},
        {"revindex", pf_jinja_integer(n - i)},
        {"revindex0", pf_jinja_integer(n - i - 1)},
        {"depth", pf_jinja_integer(1)} /* there are no recursive loops */,
        {"depth0", pf_jinja_integer(0)},
    };
    for (size_t k = 0; k < sizeof members / sizeof *members; k++)
        if (pf_jinja_is(name, members[k].name)) {
            *out = members[k].value;
            return true;
        }
    if (pf_jinja_is(name, "previtem") && loop->index > 0)
        *out = items->items[loop->index - 1];
    else if (pf_jinja_is(name, "nextitem") && loop->index + 1 < items->n)
        *out = items->items[loop->index + 1];
    else
        return false;
    return true;
}

static bool item_of_list(const jinja_list *list, int64_t index, jinja_value *out) {
    if (index < 0) index += (int64_t)list->n;
    if (index < 0 || index >= (int64_t)list->n) return false;
    *out = list->items[index];
    return true;
}

static bool char_of(jinja_string text, int64_t index, jinja_value *out) {
    size_t size = 0;
    if (index < 0) index += (int64_t)pf_jinja_length(text);
    if (index < 0) return false;
    size_t at = pf_jinja_offset(text, (size_t)index);
    if (at >= text.n) return false;
    pf_jinja_char(text, at, &size);
    *out = pf_jinja_text((jinja_string){text.bytes + at, size});
    return true;
}

bool pf_jinja_member(jinja_run *run, const jinja_value *value, const jinja_value *name,
                     jinja_value *out) {
    jinja_string text;
    const jinja_value *found;
    int64_t index = 0;
    bool integer = pf_jinja_as_integer(name, &index);
    switch (value->kind) {
    case JINJA_UNDEFINED:
        return pf_jinja_fail(run, "%.*s", (int)(value->string.n < 300 ? value->string.n : 300),
                             value->string.bytes);
    case JINJA_DICT:
    case JINJA_NAMESPACE:
        found = pf_jinja_get(&run->heap, value->dict, *name);
        if (found) *out = *found;
        if (found) return true;
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
        if (integer && !value->list->lazy && item_of_list(value->list, index, out)) return true;
        break;
    case JINJA_TEXT:
        run->heap.work += value->string.n / 64;
        if (integer && char_of(value->string, index, out)) return true;
        break;
    case JINJA_LOOP:
        if (name->kind == JINJA_TEXT && member_of_loop(value->loop, name->string, out)) return true;
        break;
    default:
        break;
    }
    return pf_jinja_str(&run->heap, name, &text) && pf_jinja_undefined(run, value, text, out);
}

bool pf_jinja_contains(jinja_run *run, const jinja_value *b, const jinja_value *a, bool *found) {
    *found = false;
    if (b->kind == JINJA_TEXT) {
        if (a->kind != JINJA_TEXT)
            return pf_jinja_fail(run, "a string can contain a string, not %s",
                                 pf_jinja_kind_name(a));
        *found = pf_jinja_find(&run->heap, b->string, 0, a->string) != SIZE_MAX;
        return true;
    }
    if (b->kind == JINJA_DICT) {
        *found = pf_jinja_get(&run->heap, b->dict, *a) != NULL;
        return true;
    }
    const jinja_list *items;
    if (!pf_jinja_items(run, b, &items)) return false;
    for (size_t i = 0; i < items->n && !*found; i++)
        *found = pf_jinja_equal(&run->heap, &items->items[i], a);
    return true;
}

#undef pf_jinja_fail /* see jinja_run.h */
bool pf_jinja_fail(jinja_run *run, const char *format, ...) {
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return pf_fail(run->heap.error, "line %d: %s", run->line, message);
}
