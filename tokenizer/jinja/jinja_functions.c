/* floor 3.4 - Jinja functions: Jinja's own, and those that transformers adds. */
#define _POSIX_C_SOURCE 200809L /* localtime_r */
#include "jinja_functions.h"

#include <string.h>

enum { MAX_RANGE = 100000 }; /* as in Jinja's sandbox */

static bool call_range(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    int64_t numbers[3] = {0, 0, 1};
    if (arguments->n < 1 || arguments->n > 3)
        return pf_jinja_fail(run, "range takes one to three integers");
    for (size_t i = 0; i < arguments->n; i++)
        if (!pf_jinja_as_integer(&arguments->positional[i], &numbers[i]))
            return pf_jinja_fail(run, "range takes integers, not %s",
                                 pf_jinja_kind_name(&arguments->positional[i]));
    if (arguments->n == 1) {
        numbers[1] = numbers[0];
        numbers[0] = 0;
    }
    const int64_t limit = (int64_t)1 << 60;
    int64_t step = numbers[2];
    for (int i = 0; i < 3; i++)
        if (numbers[i] > limit || numbers[i] < -limit)
            return pf_jinja_fail(run, "range: the number is too large");
    if (step == 0) return pf_jinja_fail(run, "range: the step is 0");
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, out)) return false;
    for (int64_t i = numbers[0]; step > 0 ? i < numbers[1] : i > numbers[1]; i += step) {
        if (out->list->n == MAX_RANGE)
            return pf_jinja_fail(run, "range: more than %d numbers, the limit", MAX_RANGE);
        if (!pf_jinja_push(&run->heap, out->list, pf_jinja_integer(i))) return false;
    }
    return true;
}

/* Entries of another dictionary, then named ones. */
static bool make_dict(jinja_run *run, const jinja_arguments *arguments, jinja_kind kind,
                      jinja_value *out) {
    if (!pf_jinja_new_dict(&run->heap, kind, out)) return false;
    if (arguments->n > 1 || (arguments->n == 1 && arguments->positional[0].kind != JINJA_DICT))
        return pf_jinja_fail(run, "dict and namespace take a dictionary and name=value");
    const jinja_dict *from = arguments->n ? arguments->positional[0].dict : NULL;
    for (size_t i = 0; from && i < from->n; i++)
        if (!pf_jinja_put(&run->heap, out->dict, from->entries[i].key, from->entries[i].value))
            return false;
    for (size_t i = 0; i < arguments->n_named; i++)
        if (!pf_jinja_put(&run->heap, out->dict, pf_jinja_text(arguments->named[i].name),
                          arguments->named[i].value))
            return false;
    return true;
}

static bool call_namespace(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return make_dict(run, arguments, JINJA_NAMESPACE, out);
}

static bool call_dict(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return make_dict(run, arguments, JINJA_DICT, out);
}

static bool call_raise(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    (void)out;
    jinja_string text = {"", 0};
    if (arguments->n && !pf_jinja_str(&run->heap, &arguments->positional[0], &text)) return false;
    run->raised = true;
    return pf_jinja_fail(run, "%.*s", (int)(text.n < 300 ? text.n : 300), text.bytes);
}

/* The time of day where the program runs, in the form that strftime takes. */
static bool call_strftime(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    jinja_string form = {"", 0};
    char format[256], text[1024];
    struct tm now;
    if (!pf_jinja_string_argument(run, arguments, 0, "format", &form)) return false;
    if (form.n >= sizeof format || memchr(form.bytes, '\0', form.n))
        return pf_jinja_fail(run, "strftime_now: the format is too long");
    memcpy(format, form.bytes, form.n);
    format[form.n] = '\0';
    if (!localtime_r(&run->now, &now)) return pf_jinja_fail(run, "strftime_now: there is no time");
    return pf_jinja_copy(&run->heap, text, strftime(text, sizeof text, format, &now), out);
}

static const jinja_builtin functions[] = {
    {"range", call_range},           {"namespace", call_namespace},   {"dict", call_dict},
    {"raise_exception", call_raise}, {"strftime_now", call_strftime},
};

const jinja_builtin *pf_jinja_function(jinja_string name) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (pf_jinja_is(name, functions[i].name)) return &functions[i];
    return NULL;
}
