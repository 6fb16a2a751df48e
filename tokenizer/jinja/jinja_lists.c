/* floor 3.6 - Jinja lists: filters for choosing, ordering and joining items. */
#include "jinja_lists.h"

#include "jinja_methods.h"
#include "jinja_tests.h"

#include <string.h>

/* item.a.b, with numbers as indices. */
static bool attribute_of(jinja_run *run, jinja_value item, const jinja_value *path,
                         jinja_value *out) {
    if (path->kind != JINJA_TEXT) return pf_jinja_member(run, &item, path, out);
    jinja_string rest = path->string;
    for (;;) {
        size_t end = pf_jinja_find(&run->heap, rest, 0, JINJA_STRING("."));
        jinja_string name = {rest.bytes, end == SIZE_MAX ? rest.n : end};
        jinja_value key = pf_jinja_text(name);
        int64_t index = 0;
        size_t digits = 0;
        for (; digits < name.n && digits < 9 && name.bytes[digits] >= '0' &&
               name.bytes[digits] <= '9';
             digits++)
            index = 10 * index + (name.bytes[digits] - '0');
        if (digits && digits == name.n) key = pf_jinja_integer(index);
        if (!pf_jinja_member(run, &item, &key, out)) return false;
        if (end == SIZE_MAX) return true;
        rest = (jinja_string){rest.bytes + end + 1, rest.n - end - 1};
        item = *out;
    }
}

/* The same for filters that are generators in Python: what is not true has no items. */
static bool start_lazy(jinja_run *run, const jinja_arguments *arguments, const jinja_list **items,
                       jinja_value *out) {
    static const jinja_list nothing = {.n = 0};
    *items = &nothing;
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, out)) return false;
    out->list->lazy = true;
    return !pf_jinja_truth(&arguments->positional[0]) ||
           pf_jinja_items(run, &arguments->positional[0], items);
}

static bool start(jinja_run *run, const jinja_arguments *arguments, const jinja_list **items,
                  jinja_value *out) {
    return pf_jinja_items(run, &arguments->positional[0], items) &&
           pf_jinja_new_list(&run->heap, JINJA_LIST, out);
}

/* arguments from `from` on, for a filter or test of one item. */
static bool arguments_behind(jinja_run *run, const jinja_arguments *arguments, size_t from,
                             jinja_arguments *inner) {
    size_t n = arguments->n > from ? arguments->n - from : 0;
    *inner = (jinja_arguments){.n = n + 1,
                               .named = arguments->named,
                               .n_named = arguments->n_named,
                               .positional =
                                   pf_jinja_take(&run->heap, (n + 1) * sizeof *inner->positional)};
    if (!inner->positional) return false;
    if (n) memcpy(inner->positional + 1, arguments->positional + from, n * sizeof(jinja_value));
    return true;
}

JINJA_CALL(list_map) {
    const jinja_list *items;
    const jinja_value *path = pf_jinja_argument(arguments, SIZE_MAX, "attribute");
    const jinja_value *fallback = pf_jinja_argument(arguments, SIZE_MAX, "default");
    jinja_arguments inner = {0};
    jinja_string name = {NULL, 0};
    if (!path && arguments->n < 2) return pf_jinja_fail(run, "map needs a filter or attribute=");
    if (!path && !pf_jinja_string_argument(run, arguments, 1, NULL, &name)) return false;
    if (!start_lazy(run, arguments, &items, out) || !arguments_behind(run, arguments, 2, &inner))
        return false;
    jinja_list *list = out->list;
    for (size_t i = 0; i < items->n; i++) {
        jinja_value item;
        inner.positional[0] = items->items[i];
        bool good = path ? attribute_of(run, items->items[i], path, &item)
                         : run->filter(run, name, &inner, &item);
        if (!good || !pf_jinja_work(run)) return false;
        if (path && fallback && item.kind == JINJA_UNDEFINED) item = *fallback;
        if (!pf_jinja_push(&run->heap, list, item)) return false;
    }
    return true;
}

/* Keeps the items whose test (or truth, without one) is as wanted. */
static bool select_items(jinja_run *run, const jinja_arguments *arguments, bool attribute,
                         bool wanted, jinja_value *out) {
    const jinja_list *items;
    size_t at = attribute ? 2 : 1;
    jinja_arguments inner = {0};
    jinja_string name = {NULL, 0};
    jinja_call test = NULL;
    if (attribute && arguments->n < 2) return pf_jinja_fail(run, "an attribute is missing");
    if (!pf_jinja_string_argument(run, arguments, at, NULL, &name)) return false;
    if (name.n && !(test = pf_jinja_test(name)))
        return pf_jinja_fail(run, "there is no test \"%.*s\"", (int)(name.n < 40 ? name.n : 40),
                             name.bytes);
    if (!start_lazy(run, arguments, &items, out) ||
        !arguments_behind(run, arguments, at + 1, &inner))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        jinja_value *item = &inner.positional[0], answer;
        *item = items->items[i];
        if (attribute && !attribute_of(run, items->items[i], &arguments->positional[1], item))
            return false;
        if (test && !test(run, &inner, &answer)) return false;
        if (pf_jinja_truth(test ? &answer : item) == wanted &&
            !pf_jinja_push(&run->heap, out->list, items->items[i]))
            return false;
        if (!pf_jinja_work(run)) return false;
    }
    return true;
}

JINJA_CALL(list_select) { return select_items(run, arguments, false, true, out); }
JINJA_CALL(list_reject) { return select_items(run, arguments, false, false, out); }
JINJA_CALL(list_selectattr) { return select_items(run, arguments, true, true, out); }
JINJA_CALL(list_rejectattr) { return select_items(run, arguments, true, false, out); }

/* ---- ordering ---- */

/* What an item is compared by: itself or an attribute, in lower case unless case counts. */
static bool sort_key(jinja_run *run, jinja_value item, const jinja_value *path, bool with_case,
                     jinja_value *key) {
    if (path && path->kind != JINJA_NONE) {
        if (!attribute_of(run, item, path, key)) return false;
    } else {
        *key = item;
    }
    if (with_case || key->kind != JINJA_TEXT) return true;
    jinja_value text = *key;
    return pf_jinja_lower(run, &(jinja_arguments){.positional = &text, .n = 1}, key);
}

/* Sorts items [n] by keys, stably: insertion into runs of two, four ... (merge sort). */
static bool merge(jinja_run *run, jinja_entry *from, jinja_entry *to, size_t left, size_t middle,
                  size_t right, bool reverse) {
    for (size_t i = left, a = left, b = middle; i < right; i++) {
        int order = 0;
        if (a < middle && b < right &&
            !pf_jinja_compare(&run->heap, &from[a].key, &from[b].key, &order))
            return pf_jinja_fail(run, "%s and %s have no order", pf_jinja_kind_name(&from[a].key),
                                 pf_jinja_kind_name(&from[b].key));
        bool first = b == right || (a < middle && (reverse ? order >= 0 : order <= 0));
        to[i] = first ? from[a++] : from[b++];
        if (!pf_jinja_work(run)) return false;
    }
    return true;
}

static bool sort_entries(jinja_run *run, jinja_entry **entries, size_t n, bool reverse) {
    jinja_entry *from = *entries, *to = pf_jinja_take(&run->heap, n * sizeof *to);
    if (!to) return false;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t left = 0; left < n; left += 2 * width) {
            size_t middle = left + width < n ? left + width : n;
            size_t right = left + 2 * width < n ? left + 2 * width : n;
            if (!merge(run, from, to, left, middle, right, reverse)) return false;
        }
        jinja_entry *swapped = from;
        from = to;
        to = swapped;
    }
    *entries = from;
    return true;
}

/* The items with their keys, sorted. */
static bool sorted(jinja_run *run, const jinja_list *items, const jinja_value *path, bool with_case,
                   bool reverse, jinja_entry **entries) {
    *entries = pf_jinja_take(&run->heap, items->n * sizeof **entries);
    if (!*entries) return false;
    for (size_t i = 0; i < items->n; i++) {
        (*entries)[i].value = items->items[i];
        if (!sort_key(run, items->items[i], path, with_case, &(*entries)[i].key)) return false;
    }
    return sort_entries(run, entries, items->n, reverse);
}

JINJA_CALL(list_sort) {
    const jinja_list *items;
    jinja_entry *entries;
    const jinja_value *path = pf_jinja_argument(arguments, 3, "attribute");
    bool reverse = pf_jinja_truth_argument(arguments, 1, "reverse", false);
    bool with_case = pf_jinja_truth_argument(arguments, 2, "case_sensitive", false);
    if (!start(run, arguments, &items, out) ||
        !sorted(run, items, path, with_case, reverse, &entries))
        return false;
    for (size_t i = 0; i < items->n; i++)
        if (!pf_jinja_push(&run->heap, out->list, entries[i].value)) return false;
    return true;
}

JINJA_CALL(list_dictsort) {
    jinja_value pairs, by = pf_jinja_integer(0);
    jinja_string which = {"key", 3};
    jinja_entry *entries;
    bool with_case = pf_jinja_truth_argument(arguments, 1, "case_sensitive", false);
    bool reverse = pf_jinja_truth_argument(arguments, 3, "reverse", false);
    if (arguments->positional[0].kind != JINJA_DICT)
        return pf_jinja_fail(run, "dictsort needs a dictionary");
    if (!pf_jinja_string_argument(run, arguments, 2, "by", &which)) return false;
    if (pf_jinja_is(which, "value")) by = pf_jinja_integer(1);
    if (!pf_jinja_entries(run, arguments->positional[0].dict, true, true, &pairs) ||
        !sorted(run, pairs.list, &by, with_case, reverse, &entries) ||
        !pf_jinja_new_list(&run->heap, JINJA_LIST, out))
        return false;
    for (size_t i = 0; i < pairs.list->n; i++)
        if (!pf_jinja_push(&run->heap, out->list, entries[i].value)) return false;
    return true;
}

JINJA_CALL(list_groupby) {
    const jinja_list *items;
    jinja_entry *entries;
    const jinja_value *path = pf_jinja_argument(arguments, 1, "attribute");
    bool with_case = pf_jinja_truth_argument(arguments, 3, "case_sensitive", false);
    jinja_value group = {0}, members = {0}, key;
    if (!path) return pf_jinja_fail(run, "groupby needs an attribute");
    if (!start(run, arguments, &items, out) ||
        !sorted(run, items, path, with_case, false, &entries))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        bool same = i && pf_jinja_equal(&run->heap, &entries[i - 1].key, &entries[i].key);
        if (!same && (!attribute_of(run, entries[i].value, path, &key) ||
                      !pf_jinja_new_list(&run->heap, JINJA_TUPLE, &group) ||
                      !pf_jinja_new_list(&run->heap, JINJA_LIST, &members) ||
                      !pf_jinja_push(&run->heap, group.list, key) ||
                      !pf_jinja_push(&run->heap, group.list, members) ||
                      !pf_jinja_push(&run->heap, out->list, group)))
            return false;
        if (!pf_jinja_push(&run->heap, members.list, entries[i].value)) return false;
    }
    return true;
}

JINJA_CALL(list_unique) {
    const jinja_list *items;
    jinja_value keys, key;
    bool with_case = pf_jinja_truth_argument(arguments, 1, "case_sensitive", false), found;
    const jinja_value *path = pf_jinja_argument(arguments, 2, "attribute");
    if (!start(run, arguments, &items, out) || !pf_jinja_new_list(&run->heap, JINJA_LIST, &keys))
        return false;
    out->list->lazy = true;
    for (size_t i = 0; i < items->n; i++) {
        if (!sort_key(run, items->items[i], path, with_case, &key) ||
            !pf_jinja_contains(run, &keys, &key, &found))
            return false;
        if (!found && (!pf_jinja_push(&run->heap, keys.list, key) ||
                       !pf_jinja_push(&run->heap, out->list, items->items[i])))
            return false;
        if (!pf_jinja_work(run)) return false;
    }
    return true;
}

static bool extreme(jinja_run *run, const jinja_arguments *arguments, bool reverse,
                    jinja_value *out) {
    const jinja_list *items;
    jinja_entry *entries;
    const jinja_value *path = pf_jinja_argument(arguments, 2, "attribute");
    bool with_case = pf_jinja_truth_argument(arguments, 1, "case_sensitive", false);
    if (!start(run, arguments, &items, out)) return false;
    if (items->n == 0)
        return pf_jinja_undefined(run, NULL, JINJA_STRING("the least or greatest of nothing"), out);
    if (!sorted(run, items, path, with_case, reverse, &entries)) return false;
    *out = entries[0].value;
    return true;
}

JINJA_CALL(list_min) { return extreme(run, arguments, false, out); }
JINJA_CALL(list_max) { return extreme(run, arguments, true, out); }

JINJA_CALL(list_sum) {
    const jinja_list *items;
    const jinja_value *path = pf_jinja_argument(arguments, 1, "attribute");
    const jinja_value *begin = pf_jinja_argument(arguments, 2, "start");
    double sum = begin && pf_jinja_number(begin) ? pf_jinja_as_real(begin) : 0;
    bool real = begin && begin->kind == JINJA_REAL;
    if (!start(run, arguments, &items, out)) return false;
    for (size_t i = 0; i < items->n; i++) {
        jinja_value item = items->items[i];
        if (path && path->kind != JINJA_NONE && !attribute_of(run, items->items[i], path, &item))
            return false;
        if (!pf_jinja_number(&item))
            return pf_jinja_fail(run, "sum: %s is no number", pf_jinja_kind_name(&item));
        real = real || item.kind == JINJA_REAL;
        sum += pf_jinja_as_real(&item);
    }
    *out =
        real || !(sum > -9e15 && sum < 9e15) ? pf_jinja_real(sum) : pf_jinja_integer((int64_t)sum);
    return true;
}

JINJA_CALL(list_join) {
    const jinja_list *items;
    const jinja_value *path = pf_jinja_argument(arguments, 2, "attribute");
    const jinja_value *between = pf_jinja_argument(arguments, 1, "d");
    jinja_builder b = {.heap = &run->heap};
    if (!pf_jinja_items(run, &arguments->positional[0], &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        jinja_value item = items->items[i];
        if (path && path->kind != JINJA_NONE && !attribute_of(run, items->items[i], path, &item))
            return false;
        if ((i && between && !pf_jinja_add_str(&b, between)) || !pf_jinja_add_str(&b, &item) ||
            !pf_jinja_work(run))
            return false;
    }
    *out = pf_jinja_built(&b);
    return true;
}

JINJA_CALL(list_batch) {
    const jinja_list *items;
    jinja_value group = {0};
    int64_t size = 0;
    const jinja_value *fill = pf_jinja_argument(arguments, 2, "fill_with");
    if (!pf_jinja_integer_argument(run, arguments, 1, "linecount", &size) ||
        !start(run, arguments, &items, out))
        return false;
    out->list->lazy = true;
    if (size <= 0 || size > 100000) return pf_jinja_fail(run, "batch needs a size");
    for (size_t i = 0; i < items->n; i++) {
        if (i % (size_t)size == 0 && (!pf_jinja_new_list(&run->heap, JINJA_LIST, &group) ||
                                      !pf_jinja_push(&run->heap, out->list, group)))
            return false;
        if (!pf_jinja_push(&run->heap, group.list, items->items[i])) return false;
    }
    while (fill && group.list && group.list->n < (size_t)size)
        if (!pf_jinja_push(&run->heap, group.list, *fill)) return false;
    return true;
}
