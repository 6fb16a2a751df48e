/* floor 3.5 - Jinja operators: what + means for numbers, strings and lists, and so on. */
#include "jinja_operators.h"

#include "jinja_format.h"

#include <math.h>

static bool mismatch(jinja_run *run, jinja_string operator, const jinja_value * a,
                     const jinja_value *b) {
    const jinja_value *undefined = a->kind == JINJA_UNDEFINED   ? a
                                   : b->kind == JINJA_UNDEFINED ? b
                                                                : NULL;
    if (undefined)
        return pf_jinja_fail(run, "%.*s",
                             (int)(undefined->string.n < 300 ? undefined->string.n : 300),
                             undefined->string.bytes);
    return pf_jinja_fail(run, "%s %.*s %s has no meaning", pf_jinja_kind_name(a),
                         (int)operator.n, operator.bytes, pf_jinja_kind_name(b));
}

/* ---- numbers ---- */

static bool real_result(jinja_run *run, char operator, bool twice, double a, double b,
                        jinja_value *out) {
    double result = 0;
    if ((operator== '/' || operator== '%') && b == 0) return pf_jinja_fail(run, "division by 0");
    switch (operator) {
    case '+':
        result = a + b;
        break;
    case '-':
        result = a - b;
        break;
    case '*':
        result = twice ? pow(a, b) : a * b;
        break;
    case '/':
        result = twice ? floor(a / b) : a / b;
        break;
    default: /* the remainder has the sign of b */
        result = fmod(a, b);
        if (result != 0 && (result < 0) != (b < 0)) result += b;
        break;
    }
    *out = pf_jinja_real(result);
    return true;
}

static bool power(int64_t a, int64_t b, int64_t *result) {
    *result = 1;
    for (; b > 0; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(*result, a, result)) return false;
        if (b > 1 && __builtin_mul_overflow(a, a, &a)) return false;
    }
    return true;
}

static bool integer_result(jinja_run *run, char operator, bool twice, int64_t a, int64_t b,
                           jinja_value *out) {
    int64_t result = 0;
    bool fits = true;
    switch (operator) {
    case '+':
        fits = !__builtin_add_overflow(a, b, &result);
        break;
    case '-':
        fits = !__builtin_sub_overflow(a, b, &result);
        break;
    case '*':
        fits = twice ? power(a, b, &result) : !__builtin_mul_overflow(a, b, &result);
        break;
    default: /* // and %, rounded down */
        if (b == 0) return pf_jinja_fail(run, "division by 0");
        if (b == -1) {
            fits = operator== '%' || !__builtin_sub_overflow(0, a, &result);
        } else {
            int64_t rest = a % b, down = rest != 0 && (rest < 0) != (b < 0);
            result = operator== '%' ? rest + down * b : a / b - down;
        }
        break;
    }
    *out = pf_jinja_integer(result);
    return fits || pf_jinja_fail(run, "the result is too large for an integer");
}

static bool arithmetic(jinja_run *run, jinja_string operator, const jinja_value * a,
                       const jinja_value *b, jinja_value *out) {
    int64_t i, j;
    char sign = operator.bytes[0];
    bool twice = operator.n == 2;
    if (pf_jinja_as_integer(a, &i) && pf_jinja_as_integer(b, &j) && !(sign == '/' && !twice) &&
        !(sign == '*' && twice && j < 0))
        return integer_result(run, sign, twice, i, j, out);
    return real_result(run, sign, twice, pf_jinja_as_real(a), pf_jinja_as_real(b), out);
}

/* ---- strings and lists ---- */

static bool join_lists(jinja_run *run, const jinja_value *a, const jinja_value *b,
                       jinja_value *out) {
    if (!pf_jinja_new_list(&run->heap, a->kind, out)) return false;
    for (size_t i = 0; i < a->list->n; i++)
        if (!pf_jinja_push(&run->heap, out->list, a->list->items[i])) return false;
    for (size_t i = 0; i < b->list->n; i++)
        if (!pf_jinja_push(&run->heap, out->list, b->list->items[i])) return false;
    return true;
}

static bool join_texts(jinja_run *run, const jinja_value *a, const jinja_value *b,
                       jinja_value *out) {
    jinja_builder builder = {.heap = &run->heap};
    if (!pf_jinja_add_str(&builder, a) || !pf_jinja_add_str(&builder, b)) return false;
    *out = pf_jinja_built(&builder);
    return true;
}

/* A string or list, `times` over. */
static bool repeat(jinja_run *run, const jinja_value *what, int64_t times, jinja_value *out) {
    jinja_builder b = {.heap = &run->heap};
    jinja_value list = *what;
    bool text = what->kind == JINJA_TEXT;
    if (!text && !pf_jinja_new_list(&run->heap, what->kind, &list)) return false;
    for (int64_t i = 0; i < times; i++) {
        run->heap.work++;
        if (!pf_jinja_work(run) || (text && !pf_jinja_add_string(&b, what->string))) return false;
        for (size_t k = 0; !text && k < what->list->n; k++)
            if (!pf_jinja_push(&run->heap, list.list, what->list->items[k])) return false;
    }
    *out = text ? pf_jinja_built(&b) : list;
    return true;
}

static bool is_series(const jinja_value *value) {
    return value->kind == JINJA_TEXT || value->kind == JINJA_LIST || value->kind == JINJA_TUPLE;
}

bool pf_jinja_binary(jinja_run *run, jinja_string operator, const jinja_value * a,
                     const jinja_value *b, jinja_value *out) {
    int64_t times = 0;
    char sign = operator.bytes[0];
    if (sign == '~') return join_texts(run, a, b, out);
    if (pf_jinja_number(a) && pf_jinja_number(b)) return arithmetic(run, operator, a, b, out);
    if (sign == '+' && is_series(a) && a->kind == b->kind)
        return a->kind == JINJA_TEXT ? join_texts(run, a, b, out) : join_lists(run, a, b, out);
    if (sign == '%' && a->kind == JINJA_TEXT) return pf_jinja_percent(run, a->string, b, out);
    if (sign == '*' && operator.n == 1 && is_series(a) && pf_jinja_as_integer(b, &times))
        return repeat(run, a, times, out);
    if (sign == '*' && operator.n == 1 && is_series(b) && pf_jinja_as_integer(a, &times))
        return repeat(run, b, times, out);
    return mismatch(run, operator, a, b);
}

bool pf_jinja_negate(jinja_run *run, const jinja_value *value, jinja_value *out) {
    jinja_value zero = pf_jinja_integer(0);
    if (!pf_jinja_number(value)) return mismatch(run, JINJA_STRING("-"), &zero, value);
    if (value->kind != JINJA_REAL) return arithmetic(run, JINJA_STRING("-"), &zero, value, out);
    *out = pf_jinja_real(-value->real);
    return true;
}

bool pf_jinja_relation(jinja_run *run, jinja_string operator, const jinja_value * a,
                       const jinja_value *b, bool *holds) {
    char first = operator.bytes[0];
    int order = 0;
    if (first == 'i' || first == 'n') {
        if (!pf_jinja_contains(run, b, a, holds)) return false;
        *holds = *holds == (first == 'i');
    } else if (first == '=' || first == '!') {
        *holds = pf_jinja_equal(&run->heap, a, b) == (first == '=');
    } else {
        if (!pf_jinja_compare(&run->heap, a, b, &order)) return mismatch(run, operator, a, b);
        *holds = (operator.n == 2 && order == 0) || (first == '<' ? order < 0 : order > 0);
    }
    return true;
}

/* ---- slices ---- */

/* A bound as an index between `least` and `most`, counted from the end if it is negative. */
static int64_t clamp(int64_t bound, int64_t n, int64_t least, int64_t most) {
    if (bound < 0) bound = bound < -n ? least : bound + n;
    return bound < least ? least : bound > most ? most : bound;
}

static bool slice_items(jinja_run *run, const jinja_list *items, const int64_t range[3],
                        jinja_list *out) {
    for (int64_t i = range[0]; range[2] > 0 ? i < range[1] : i > range[1]; i += range[2])
        if (!pf_jinja_push(&run->heap, out, items->items[i])) return false;
    return true;
}

/* begin, end and step within n items. */
static bool find_range(jinja_run *run, const jinja_value bounds[3], int64_t n, int64_t range[3]) {
    int64_t given[3] = {0, 0, 1};
    for (int i = 0; i < 3; i++)
        if (bounds[i].kind != JINJA_NONE && !pf_jinja_as_integer(&bounds[i], &given[i]))
            return pf_jinja_fail(run, "%s is no index", pf_jinja_kind_name(&bounds[i]));
    int64_t step = given[2], least = step < 0 ? -1 : 0, most = step < 0 ? n - 1 : n;
    if (step == 0) return pf_jinja_fail(run, "the step of a slice is 0");
    range[0] =
        bounds[0].kind == JINJA_NONE ? (step < 0 ? most : least) : clamp(given[0], n, least, most);
    range[1] =
        bounds[1].kind == JINJA_NONE ? (step < 0 ? least : most) : clamp(given[1], n, least, most);
    range[2] = step > n ? n + 1 : step < -n ? -n - 1 : step; /* goes out at once all the same */
    return true;
}

bool pf_jinja_slice(jinja_run *run, const jinja_value *value, const jinja_value bounds[3],
                    jinja_value *out) {
    const jinja_list *items;
    int64_t range[3];
    if (value->kind == JINJA_UNDEFINED) return pf_jinja_member(run, value, value, out);
    if (!is_series(value) || pf_jinja_lazy(value))
        return pf_jinja_fail(run, "%s has no slices", pf_jinja_kind_name(value));
    if (value->kind == JINJA_TEXT) {
        run->heap.work += value->string.n / 64;
        if (!find_range(run, bounds, (int64_t)pf_jinja_length(value->string), range)) return false;
        if (range[2] == 1) {
            size_t begin = pf_jinja_offset(value->string, (size_t)range[0]);
            jinja_string rest = {value->string.bytes + begin, value->string.n - begin};
            int64_t n = range[1] > range[0] ? range[1] - range[0] : 0;
            rest.n = pf_jinja_offset(rest, (size_t)n);
            *out = pf_jinja_text(rest);
            return true;
        }
    }
    if (!pf_jinja_items(run, value, &items) || !find_range(run, bounds, (int64_t)items->n, range) ||
        !pf_jinja_new_list(&run->heap, value->kind == JINJA_TUPLE ? JINJA_TUPLE : JINJA_LIST,
                           out) ||
        !slice_items(run, items, range, out->list))
        return false;
    if (value->kind != JINJA_TEXT) return true;
    jinja_builder b = {.heap = &run->heap};
    for (size_t i = 0; i < out->list->n; i++)
        if (!pf_jinja_add_string(&b, out->list->items[i].string)) return false;
    *out = pf_jinja_built(&b);
    return true;
}
