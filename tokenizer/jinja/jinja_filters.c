/* floor 3.7 - Jinja filters: the table of all of them, and those of single values. */
#include "jinja_filters.h"

#include "jinja_format.h"
#include "jinja_json.h"
#include "jinja_lists.h"
#include "jinja_methods.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const jinja_value *value_of(const jinja_arguments *arguments) {
    return &arguments->positional[0];
}

/* ---- any value ---- */

static bool filter_default(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    (void)run;
    const jinja_value *value = value_of(arguments);
    const jinja_value *fallback = pf_jinja_argument(arguments, 1, "default_value");
    bool empty = pf_jinja_truth_argument(arguments, 2, "boolean", false);
    bool missing = value->kind == JINJA_UNDEFINED || (empty && !pf_jinja_truth(value));
    *out = !missing ? *value : fallback ? *fallback : pf_jinja_text((jinja_string){"", 0});
    return true;
}

static bool filter_string(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    out->kind = JINJA_TEXT;
    return pf_jinja_str(&run->heap, value_of(arguments), &out->string);
}

static bool filter_same(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    (void)run;
    *out = *value_of(arguments);
    return true;
}

static bool filter_tojson(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *indent = pf_jinja_argument(arguments, 2, "indent");
    const jinja_value *separators = pf_jinja_argument(arguments, 3, "separators");
    jinja_builder b = {.heap = &run->heap};
    jinja_json_options options = {
        .ascii = pf_jinja_truth_argument(arguments, 1, "ensure_ascii", false),
        .sort_keys = pf_jinja_truth_argument(arguments, 4, "sort_keys", false),
        .lines = indent && indent->kind != JINJA_NONE,
        .comma = JINJA_STRING(", "),
        .colon = JINJA_STRING(": "),
    };
    if (options.lines) options.comma = JINJA_STRING(",");
    int64_t width = 0;
    if (options.lines && pf_jinja_as_integer(indent, &width)) {
        static const char blanks[] = "                                ";
        options.indent = (jinja_string){blanks, (size_t)(width < 0 ? 0 : width > 32 ? 32 : width)};
    } else if (options.lines &&
               !pf_jinja_string_argument(run, arguments, 2, "indent", &options.indent)) {
        return false;
    }
    if (separators && (separators->kind == JINJA_LIST || separators->kind == JINJA_TUPLE)) {
        const jinja_value *items = separators->list->items;
        if (separators->list->n != 2 || items[0].kind != JINJA_TEXT || items[1].kind != JINJA_TEXT)
            return pf_jinja_fail(run, "tojson: the separators are two strings");
        options.comma = items[0].string;
        options.colon = items[1].string;
    }
    if (!pf_jinja_add_json(&b, value_of(arguments), &options)) return false;
    *out = pf_jinja_built(&b);
    return true;
}

/* ---- size and order ---- */

static bool filter_length(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *value = value_of(arguments);
    const jinja_list *items;
    if (value->kind == JINJA_TEXT) {
        run->heap.work += value->string.n / 64;
        *out = pf_jinja_integer((int64_t)pf_jinja_length(value->string));
        return true;
    }
    if (pf_jinja_lazy(value))
        return pf_jinja_fail(run, "length: the items are not in a list; add |list before it");
    if (!pf_jinja_items(run, value, &items)) return false;
    *out = pf_jinja_integer((int64_t)items->n);
    return true;
}

static bool one_of(jinja_run *run, const jinja_arguments *arguments, bool last, jinja_value *out) {
    const jinja_list *items;
    if (!pf_jinja_items(run, value_of(arguments), &items)) return false;
    if (items->n == 0)
        return pf_jinja_undefined(run, NULL, JINJA_STRING("the first or last of nothing"), out);
    *out = items->items[last ? items->n - 1 : 0];
    return true;
}

static bool filter_first(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return one_of(run, arguments, false, out);
}

static bool filter_last(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return one_of(run, arguments, true, out);
}

static bool filter_list(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_list *items;
    if (!pf_jinja_items(run, value_of(arguments), &items) ||
        !pf_jinja_new_list(&run->heap, JINJA_LIST, out))
        return false;
    for (size_t i = 0; i < items->n; i++)
        if (!pf_jinja_push(&run->heap, out->list, items->items[i])) return false;
    return true;
}

static bool filter_reverse(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_list *items;
    jinja_builder b = {.heap = &run->heap};
    bool text = value_of(arguments)->kind == JINJA_TEXT;
    if (!pf_jinja_items(run, value_of(arguments), &items) ||
        !pf_jinja_new_list(&run->heap, JINJA_LIST, out))
        return false;
    for (size_t i = items->n; i-- > 0;)
        if (text ? !pf_jinja_add_string(&b, items->items[i].string)
                 : !pf_jinja_push(&run->heap, out->list, items->items[i]))
            return false;
    if (text)
        *out = pf_jinja_built(&b);
    else
        out->list->lazy = true;
    return true;
}

static bool filter_items(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *value = value_of(arguments);
    if (value->kind == JINJA_UNDEFINED) return pf_jinja_new_list(&run->heap, JINJA_LIST, out);
    if (value->kind != JINJA_DICT)
        return pf_jinja_fail(run, "items needs a dictionary, not %s", pf_jinja_kind_name(value));
    if (!pf_jinja_entries(run, value->dict, true, true, out)) return false;
    out->list->lazy = true;
    return true;
}

static bool filter_attr(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *name = pf_jinja_argument(arguments, 1, "name");
    if (!name || name->kind != JINJA_TEXT) return pf_jinja_fail(run, "attr needs a name");
    return pf_jinja_undefined(run, value_of(arguments), name->string, out);
}

/* ---- numbers ---- */

static bool filter_int(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *value = value_of(arguments);
    int64_t integer = 0;
    double real = 0;
    if (!pf_jinja_integer_argument(run, arguments, 1, "default", &integer)) return false;
    if (value->kind == JINJA_UNDEFINED) return pf_jinja_member(run, value, value, out);
    bool number = pf_jinja_number(value);
    if (number)
        real = pf_jinja_as_real(value);
    else
        number = value->kind == JINJA_TEXT && pf_jinja_read_real(value->string, &real);
    if (!pf_jinja_as_integer(value, &integer) && number && real > -9e18 && real < 9e18)
        integer = (int64_t)real;
    *out = pf_jinja_integer(integer);
    return true;
}

static bool filter_float(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *value = value_of(arguments);
    const jinja_value *fallback = pf_jinja_argument(arguments, 1, "default");
    if (value->kind == JINJA_UNDEFINED) return pf_jinja_member(run, value, value, out);
    double real = fallback && pf_jinja_number(fallback) ? pf_jinja_as_real(fallback) : 0;
    if (pf_jinja_number(value))
        real = pf_jinja_as_real(value);
    else if (value->kind == JINJA_TEXT)
        pf_jinja_read_real(value->string, &real);
    *out = pf_jinja_real(real);
    return true;
}

static bool filter_abs(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    *out = *value_of(arguments);
    if (out->kind == JINJA_REAL)
        out->real = fabs(out->real);
    else if (out->kind == JINJA_INTEGER)
        out->integer = out->integer == INT64_MIN ? INT64_MAX : llabs(out->integer);
    else if (out->kind == JINJA_BOOL)
        *out = pf_jinja_integer(out->truth);
    else
        return pf_jinja_fail(run, "abs: %s is no number", pf_jinja_kind_name(out));
    return true;
}

static bool filter_round(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *value = value_of(arguments);
    int64_t digits = 0;
    jinja_string method = {"common", 6};
    if (!pf_jinja_number(value)) return pf_jinja_fail(run, "round needs a number");
    if (!pf_jinja_integer_argument(run, arguments, 1, "precision", &digits) ||
        !pf_jinja_string_argument(run, arguments, 2, "method", &method))
        return false;
    int64_t integer = 0;
    if (pf_jinja_as_integer(value, &integer) && pf_jinja_is(method, "common") && digits >= 0) {
        *out = pf_jinja_integer(integer);
        return true;
    }
    double scale = pow(10, (double)(digits > 300 ? 300 : digits < -300 ? -300 : digits));
    double real = pf_jinja_as_real(value) * scale;
    real = pf_jinja_is(method, "ceil")    ? ceil(real)
           : pf_jinja_is(method, "floor") ? floor(real)
                                          : nearbyint(real); /* halves to even, as Python */
    *out = pf_jinja_real(real / scale);
    return true;
}

/* ---- text ---- */

static bool filter_indent(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_string text = {NULL, 0}, by = {NULL, 0};
    if (!pf_jinja_string_argument(run, arguments, 0, NULL, &text)) return false;
    const jinja_value *width = pf_jinja_argument(arguments, 1, "width");
    bool first = pf_jinja_truth_argument(arguments, 2, "first", false);
    bool blank = pf_jinja_truth_argument(arguments, 3, "blank", false);
    jinja_builder b = {.heap = &run->heap}, blanks = b;
    jinja_value lines;
    int64_t n = 4;
    if (width && width->kind == JINJA_TEXT) {
        by = width->string;
    } else {
        if (!pf_jinja_integer_argument(run, arguments, 1, "width", &n)) return false;
        for (int64_t i = 0; i < n && i < 1000; i++)
            if (!pf_jinja_add(&blanks, " ", 1)) return false;
        by = pf_jinja_built(&blanks).string;
    }
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, &lines) ||
        !pf_jinja_lines(run, text, false, lines.list))
        return false;
    /* A text that ends with a newline has one more line, which is empty. */
    bool open = text.n == 0 || pf_jinja_space_behind(text) > 0;
    if (open && text.n && text.bytes[text.n - 1] != '\n') open = false;
    if (open && !pf_jinja_push(&run->heap, lines.list, pf_jinja_text((jinja_string){"", 0})))
        return false;
    for (size_t i = 0; i < lines.list->n; i++) {
        jinja_string line = lines.list->items[i].string;
        bool shift = i == 0 ? first : blank || line.n > 0;
        if ((i && !pf_jinja_add(&b, "\n", 1)) || (shift && !pf_jinja_add_string(&b, by)) ||
            !pf_jinja_add_string(&b, line))
            return false;
    }
    *out = pf_jinja_built(&b);
    return true;
}

/* Each word begins in upper case; words also begin behind - ( [ { <. */
static bool filter_title(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_string text = value_of(arguments)->string;
    jinja_builder b = {.heap = &run->heap};
    bool begin = true;
    for (size_t at = 0, size = 0; at < text.n; at += size) {
        uint32_t c = pf_jinja_char(text, at, &size);
        jinja_string one = {text.bytes + at, size};
        if (!pf_jinja_add_cased(&b, one, begin ? JINJA_UPPER : JINJA_LOWER)) return false;
        begin = pf_jinja_in_class(c, JINJA_SPACE) || (c && c < 128 && strchr("-([{<", (int)c));
    }
    *out = pf_jinja_built(&b);
    return true;
}

static bool filter_escape(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    static const char marks[] = "&<>\"'";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    jinja_string text = value_of(arguments)->string;
    jinja_builder b = {.heap = &run->heap};
    for (size_t i = 0; i < text.n; i++) {
        const char *mark = text.bytes[i] ? strchr(marks, text.bytes[i]) : NULL;
        if (mark ? !pf_jinja_add_name(&b, escapes[mark - marks])
                 : !pf_jinja_add(&b, text.bytes + i, 1))
            return false;
    }
    *out = pf_jinja_built(&b);
    return true;
}

/* Runs of letters, digits and underscores. */
static bool filter_wordcount(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    (void)run;
    jinja_string text = value_of(arguments)->string;
    int64_t count = 0;
    bool inside = false;
    for (size_t at = 0, size = 0; at < text.n; at += size) {
        uint32_t c = pf_jinja_char(text, at, &size);
        bool word = c == '_' || pf_jinja_in_class(c, JINJA_ALNUM);
        count += word && !inside;
        inside = word;
    }
    *out = pf_jinja_integer(count);
    return true;
}

/* ---- all of them ---- */

/* text: the value becomes a string first. */
static const struct {
    const char *name;
    jinja_call call;
    bool text;
} filters[] = {
    {"abs", filter_abs, false},
    {"attr", filter_attr, false},
    {"batch", pf_jinja_list_batch, false},
    {"capitalize", pf_jinja_capitalize, true},
    {"center", pf_jinja_center, true},
    {"count", filter_length, false},
    {"d", filter_default, false},
    {"default", filter_default, false},
    {"dictsort", pf_jinja_list_dictsort, false},
    {"e", filter_escape, true},
    {"escape", filter_escape, true},
    {"first", filter_first, false},
    {"float", filter_float, false},
    {"format", pf_jinja_format_filter, true},
    {"groupby", pf_jinja_list_groupby, false},
    {"indent", filter_indent, false},
    {"int", filter_int, false},
    {"items", filter_items, false},
    {"join", pf_jinja_list_join, false},
    {"last", filter_last, false},
    {"length", filter_length, false},
    {"list", filter_list, false},
    {"lower", pf_jinja_lower, true},
    {"map", pf_jinja_list_map, false},
    {"max", pf_jinja_list_max, false},
    {"min", pf_jinja_list_min, false},
    {"reject", pf_jinja_list_reject, false},
    {"rejectattr", pf_jinja_list_rejectattr, false},
    {"replace", pf_jinja_replace, true},
    {"reverse", filter_reverse, false},
    {"round", filter_round, false},
    {"safe", filter_same, false},
    {"select", pf_jinja_list_select, false},
    {"selectattr", pf_jinja_list_selectattr, false},
    {"sort", pf_jinja_list_sort, false},
    {"string", filter_string, false},
    {"sum", pf_jinja_list_sum, false},
    {"title", filter_title, true},
    {"tojson", filter_tojson, false},
    {"trim", pf_jinja_strip, true},
    {"unique", pf_jinja_list_unique, false},
    {"upper", pf_jinja_upper, true},
    {"wordcount", filter_wordcount, true},
};

bool pf_jinja_filter(jinja_run *run, jinja_string name, const jinja_arguments *arguments,
                     jinja_value *out) {
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (!pf_jinja_is(name, filters[i].name)) continue;
        jinja_value *value = &arguments->positional[0];
        jinja_string text;
        if (filters[i].text && value->kind != JINJA_TEXT) {
            if (!pf_jinja_str(&run->heap, value, &text)) return false;
            *value = pf_jinja_text(text);
        }
        if (!pf_jinja_enter(run)) return false; /* map may call map */
        bool good = filters[i].call(run, arguments, out);
        run->depth--;
        return good;
    }
    return pf_jinja_fail(run, "there is no filter \"%.*s\"", (int)(name.n < 40 ? name.n : 40),
                         name.bytes);
}
