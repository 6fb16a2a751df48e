/* floor 3.4 - Jinja format: the two ways in which Python formats text. */
#include "jinja_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- by % ---- */

/* A number with fixed decimals, or as hexadecimal digits. */
static bool add_number(jinja_run *run, jinja_builder *b, char conversion, int decimals,
                       const jinja_value *value) {
    char digits[400];
    int64_t integer = 0;
    if (!pf_jinja_number(value))
        return pf_jinja_fail(run, "%%%c needs a number, not %s", conversion,
                             pf_jinja_kind_name(value));
    double real = pf_jinja_as_real(value);
    if (conversion == 'f') {
        snprintf(digits, sizeof digits, "%.*f", decimals < 0 ? 6 : decimals, real);
        char *comma = strchr(digits, ',');
        if (comma) *comma = '.';
        return pf_jinja_add_name(b, digits);
    }
    if (!pf_jinja_as_integer(value, &integer)) {
        if (conversion == 'x' || !(real > -9e18 && real < 9e18))
            return pf_jinja_fail(run, "%%%c needs an integer", conversion);
        integer = (int64_t)real;
    }
    snprintf(digits, sizeof digits, conversion == 'x' ? "%" PRIx64 : "%" PRId64, integer);
    return pf_jinja_add_name(b, digits);
}

static bool add_conversion(jinja_run *run, jinja_builder *b, char conversion, int decimals,
                           const jinja_value *value) {
    if (conversion == 's') return pf_jinja_add_str(b, value);
    if (conversion == 'r') return pf_jinja_add_repr(b, value);
    if (conversion && strchr("dixf", conversion))
        return add_number(run, b, conversion, decimals, value);
    return pf_jinja_fail(run, "the format %%%c is not supported", conversion);
}

bool pf_jinja_percent(jinja_run *run, jinja_string text, const jinja_value *values,
                      jinja_value *out) {
    jinja_builder b = {.heap = &run->heap};
    bool tuple = values->kind == JINJA_TUPLE;
    size_t n = tuple ? values->list->n : 1, used = 0;
    for (size_t i = 0; i < text.n; i++) {
        int decimals = -1;
        if (text.bytes[i] != '%') {
            if (!pf_jinja_add(&b, text.bytes + i, 1)) return false;
            continue;
        }
        if (i + 2 < text.n && text.bytes[i + 1] == '.' && text.bytes[i + 2] >= '0' &&
            text.bytes[i + 2] <= '9') {
            decimals = text.bytes[i + 2] - '0';
            i += 2;
        }
        if (++i >= text.n) return pf_jinja_fail(run, "the format ends behind %%");
        if (text.bytes[i] == '%') {
            if (!pf_jinja_add(&b, "%", 1)) return false;
            continue;
        }
        if (used == n) return pf_jinja_fail(run, "there are too few values for the format");
        const jinja_value *value = tuple ? &values->list->items[used] : values;
        used++;
        if (!add_conversion(run, &b, text.bytes[i], decimals, value)) return false;
    }
    bool indexed =
        values->kind == JINJA_DICT || values->kind == JINJA_LIST || values->kind == JINJA_UNDEFINED;
    if (used < n && !indexed) return pf_jinja_fail(run, "there are too many values for the format");
    *out = pf_jinja_built(&b);
    return true;
}

bool pf_jinja_format_filter(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_value values;
    if (!pf_jinja_new_list(&run->heap, JINJA_TUPLE, &values)) return false;
    for (size_t i = 1; i < arguments->n; i++)
        if (!pf_jinja_push(&run->heap, values.list, arguments->positional[i])) return false;
    return pf_jinja_percent(run, arguments->positional[0].string, &values, out);
}

/* ---- by {} ---- */

/* The value that a field names: its number, the next one, or a name. */
static const jinja_value *field_value(const jinja_arguments *arguments, jinja_string field,
                                      size_t *next) {
    char name[64];
    if (field.n == 0) return pf_jinja_argument(arguments, ++*next, NULL);
    if (field.n >= sizeof name) return NULL;
    memcpy(name, field.bytes, field.n);
    name[field.n] = '\0';
    if (strspn(name, "0123456789") == field.n && field.n < 6)
        return pf_jinja_argument(arguments, strtoul(name, NULL, 10) + 1, NULL);
    return pf_jinja_argument(arguments, SIZE_MAX, name);
}

bool pf_jinja_format_method(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_string text = arguments->positional[0].string;
    jinja_builder b = {.heap = &run->heap};
    size_t next = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.bytes[i];
        bool twice = i + 1 < text.n && text.bytes[i + 1] == c;
        if ((c == '{' || c == '}') && twice) i++;
        if (c != '{' || twice) {
            if (c == '}' && !twice) return pf_jinja_fail(run, "format: a single '}'");
            if (!pf_jinja_add(&b, &c, 1)) return false;
            continue;
        }
        size_t end = pf_jinja_find(&run->heap, text, i, JINJA_STRING("}"));
        if (end == SIZE_MAX) return pf_jinja_fail(run, "format: a '{' without its '}'");
        jinja_string field = {text.bytes + i + 1, end - i - 1};
        const jinja_value *value = field_value(arguments, field, &next);
        if (!value)
            return pf_jinja_fail(run, "format: there is no value for {%.*s}",
                                 (int)(field.n < 40 ? field.n : 40), field.bytes);
        if (!pf_jinja_add_str(&b, value)) return false;
        i = end;
    }
    *out = pf_jinja_built(&b);
    return true;
}
