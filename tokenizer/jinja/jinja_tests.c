/* floor 3.5 - Jinja tests: questions about a value, and comparisons by name. */
#include "jinja_tests.h"

#include "jinja_strings.h"

#include <math.h>

#define TEST(name, condition)                                                                      \
    static bool is_##name(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {    \
        (void)run;                                                                                 \
        const jinja_value *value = &arguments->positional[0];                                      \
        *out = pf_jinja_bool(condition);                                                           \
        return true;                                                                               \
    }

TEST(defined, value->kind != JINJA_UNDEFINED)
TEST(undefined, value->kind == JINJA_UNDEFINED)
TEST(none, value->kind == JINJA_NONE)
TEST(string, value->kind == JINJA_TEXT)
TEST(number, pf_jinja_number(value))
TEST(integer, value->kind == JINJA_INTEGER)
TEST(real, value->kind == JINJA_REAL)
TEST(boolean, value->kind == JINJA_BOOL)
TEST(true, value->kind == JINJA_BOOL && value->truth)
TEST(false, value->kind == JINJA_BOOL && !value->truth)
TEST(mapping, value->kind == JINJA_DICT)
TEST(iterable, pf_jinja_iterable(value))
TEST(sequence, pf_jinja_iterable(value) && !pf_jinja_lazy(value))
TEST(callable, value->kind >= JINJA_MACRO || value->kind == JINJA_UNDEFINED) /* as in jinja2 */

/* ---- with another value ---- */

static bool other(jinja_run *run, const jinja_arguments *arguments, const jinja_value **value) {
    *value = pf_jinja_argument(arguments, 1, NULL);
    return *value || pf_jinja_fail(run, "this test needs a value to compare with");
}

static bool is_equal(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *b;
    if (!other(run, arguments, &b)) return false;
    *out = pf_jinja_bool(pf_jinja_equal(&run->heap, &arguments->positional[0], b));
    return true;
}

static bool is_unequal(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    if (!is_equal(run, arguments, out)) return false;
    out->truth = !out->truth;
    return true;
}

static bool compare(jinja_run *run, const jinja_arguments *arguments, int *order) {
    const jinja_value *a = &arguments->positional[0], *b;
    return other(run, arguments, &b) &&
           (pf_jinja_compare(&run->heap, a, b, order) ||
            pf_jinja_fail(run, "%s and %s have no order", pf_jinja_kind_name(a),
                          pf_jinja_kind_name(b)));
}

#define ORDER_TEST(name, condition)                                                                \
    static bool is_##name(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {    \
        int order = 0;                                                                             \
        if (!compare(run, arguments, &order)) return false;                                        \
        *out = pf_jinja_bool(condition);                                                           \
        return true;                                                                               \
    }

ORDER_TEST(less, order < 0)
ORDER_TEST(less_or_equal, order <= 0)
ORDER_TEST(greater, order > 0)
ORDER_TEST(greater_or_equal, order >= 0)

static bool is_in(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *b;
    bool found = false;
    if (!other(run, arguments, &b) || !pf_jinja_contains(run, b, &arguments->positional[0], &found))
        return false;
    *out = pf_jinja_bool(found);
    return true;
}

/* The same object; for numbers and strings, an equal one of the same kind. */
static bool is_same(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    const jinja_value *a = &arguments->positional[0], *b;
    if (!other(run, arguments, &b)) return false;
    bool object = a->kind == JINJA_LIST || a->kind == JINJA_TUPLE || a->kind == JINJA_DICT;
    *out = pf_jinja_bool(a->kind == b->kind &&
                         (object ? a->list == b->list : pf_jinja_equal(&run->heap, a, b)));
    return true;
}

static bool divides(jinja_run *run, const jinja_value *value, int64_t by, int64_t rest,
                    jinja_value *out) {
    int64_t integer = 0;
    if (!pf_jinja_number(value))
        return pf_jinja_fail(run, "%s is no number", pf_jinja_kind_name(value));
    if (by == 0) return pf_jinja_fail(run, "divisibleby 0");
    double left = fmod(pf_jinja_as_real(value), (double)by);
    if (left < 0 && by > 0) left += (double)by;
    if (!pf_jinja_as_integer(value, &integer))
        *out = pf_jinja_bool(left == (double)rest);
    else
        *out = pf_jinja_bool(by == -1 ? rest == 0 : (integer % by != 0) == rest);
    return true;
}

static bool is_even(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return divides(run, &arguments->positional[0], 2, 0, out);
}

static bool is_odd(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return divides(run, &arguments->positional[0], 2, 1, out);
}

static bool is_divisible(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    int64_t by = 0;
    return pf_jinja_integer_argument(run, arguments, 1, "num", &by) &&
           divides(run, &arguments->positional[0], by, 0, out);
}

/* A test of str(value). */
static bool of_text(jinja_run *run, const jinja_arguments *arguments, jinja_call call,
                    jinja_value *out) {
    jinja_value text = {.kind = JINJA_TEXT};
    return pf_jinja_str(&run->heap, &arguments->positional[0], &text.string) &&
           call(run, &(jinja_arguments){.positional = &text, .n = 1}, out);
}

static bool is_lower(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return of_text(run, arguments, pf_jinja_islower, out);
}

static bool is_upper(jinja_run *run, const jinja_arguments *arguments, jinja_value *out) {
    return of_text(run, arguments, pf_jinja_isupper, out);
}

static const jinja_builtin tests[] = {
    {"defined", is_defined},
    {"undefined", is_undefined},
    {"none", is_none},
    {"string", is_string},
    {"number", is_number},
    {"integer", is_integer},
    {"float", is_real},
    {"boolean", is_boolean},
    {"true", is_true},
    {"false", is_false},
    {"mapping", is_mapping},
    {"iterable", is_iterable},
    {"sequence", is_sequence},
    {"callable", is_callable},
    {"equalto", is_equal},
    {"eq", is_equal},
    {"ne", is_unequal},
    {"lt", is_less},
    {"lessthan", is_less},
    {"le", is_less_or_equal},
    {"gt", is_greater},
    {"greaterthan", is_greater},
    {"ge", is_greater_or_equal},
    {"==", is_equal},
    {"!=", is_unequal},
    {"<", is_less},
    {"<=", is_less_or_equal},
    {">", is_greater},
    {">=", is_greater_or_equal},
    {"in", is_in},
    {"sameas", is_same},
    {"even", is_even},
    {"odd", is_odd},
    {"divisibleby", is_divisible},
    {"lower", is_lower},
    {"upper", is_upper},
};

jinja_call pf_jinja_test(jinja_string name) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (pf_jinja_is(name, tests[i].name)) return tests[i].call;
    return NULL;
}
