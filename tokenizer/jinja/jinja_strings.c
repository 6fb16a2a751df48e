/* floor 3.4 - Jinja strings: cutting, searching and changing text. */
#include "jinja_strings.h"

#include <string.h>

static jinja_string self_of(const jinja_arguments *arguments) {
    return arguments->n ? arguments->positional[0].string : (jinja_string){"", 0};
}

static bool give(jinja_value *out, jinja_string string) {
    *out = pf_jinja_text(string);
    return true;
}

static bool give_truth(jinja_value *out, bool truth) {
    *out = pf_jinja_bool(truth);
    return true;
}

static jinja_string part(jinja_string text, size_t from, size_t to) {
    return (jinja_string){text.bytes + from, to - from};
}

/* ---- stripping ---- */

/* Whether the character of text at a place is one of `chars`, or white space if that is NULL. */
static bool strips(jinja_run *run, jinja_string text, size_t at, const jinja_string *chars,
                   size_t *size) {
    uint32_t code = pf_jinja_char(text, at, size);
    if (!chars) return pf_jinja_in_class(code, JINJA_SPACE);
    return pf_jinja_find(&run->heap, *chars, 0, part(text, at, at + *size)) != SIZE_MAX;
}

static bool strip(jinja_run *run, const jinja_arguments *arguments, bool left, bool right,
                  jinja_value *out) {
    jinja_string text = self_of(arguments), given = {NULL, 0}, *chars = NULL;
    const jinja_value *argument = pf_jinja_argument(arguments, 1, "chars");
    if (argument && argument->kind != JINJA_NONE) {
        if (!pf_jinja_string_argument(run, arguments, 1, "chars", &given)) return false;
        chars = &given;
    }
    size_t begin = 0, end = text.n, size = 0;
    while (left && begin < end && strips(run, text, begin, chars, &size)) begin += size;
    while (right && end > begin) {
        size_t last = end - 1;
        while (last > begin && end - last < 4 && ((unsigned char)text.bytes[last] & 0xC0) == 0x80)
            last--;
        if (!strips(run, part(text, 0, end), last, chars, &size) || last + size != end) break;
        end = last;
    }
    return give(out, part(text, begin, end));
}

JINJA_CALL(strip) { return strip(run, arguments, true, true, out); }
JINJA_CALL(lstrip) { return strip(run, arguments, true, false, out); }
JINJA_CALL(rstrip) { return strip(run, arguments, false, true, out); }

/* ---- splitting ---- */

static bool push_part(jinja_run *run, jinja_list *list, jinja_string text) {
    return pf_jinja_push(&run->heap, list, pf_jinja_text(text)) && pf_jinja_work(run);
}

/* Words between white space; the last one takes the rest if there are `most` before it. */
static bool split_words(jinja_run *run, jinja_string text, int64_t most, jinja_list *list) {
    size_t at = pf_jinja_space_before(text), size = 0;
    while (at < text.n) {
        size_t end = at;
        if (most >= 0 && (int64_t)list->n == most)
            end = text.n;
        else
            while (end < text.n && !pf_jinja_in_class(pf_jinja_char(text, end, &size), JINJA_SPACE))
                end += size;
        if (!push_part(run, list, part(text, at, end))) return false;
        at = end + pf_jinja_space_before(part(text, end, text.n));
    }
    return true;
}

static bool split_by(jinja_run *run, jinja_string text, jinja_string by, int64_t most,
                     jinja_list *list) {
    size_t at = 0;
    while (most < 0 || (int64_t)list->n < most) {
        size_t found = pf_jinja_find(&run->heap, text, at, by);
        if (found == SIZE_MAX) break;
        if (!push_part(run, list, part(text, at, found))) return false;
        at = found + by.n;
    }
    return push_part(run, list, part(text, at, text.n));
}

/* From the right: collected backwards, then turned round. */
static bool rsplit_by(jinja_run *run, jinja_string text, jinja_string by, int64_t most,
                      jinja_list *list) {
    while (most < 0 || (int64_t)list->n < most) {
        size_t found = pf_jinja_find_last(&run->heap, text, by);
        if (found == SIZE_MAX) break;
        if (!push_part(run, list, part(text, found + by.n, text.n))) return false;
        text.n = found;
    }
    if (!push_part(run, list, text)) return false;
    for (size_t i = 0; i < list->n / 2; i++) {
        jinja_value swapped = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swapped;
    }
    return true;
}

static bool split(jinja_run *run, const jinja_arguments *arguments, bool right, jinja_value *out) {
    jinja_string by = {NULL, 0};
    int64_t most = -1;
    const jinja_value *given = pf_jinja_argument(arguments, 1, "sep");
    bool words = !given || given->kind == JINJA_NONE;
    if ((!words && !pf_jinja_string_argument(run, arguments, 1, "sep", &by)) ||
        !pf_jinja_integer_argument(run, arguments, 2, "maxsplit", &most) ||
        !pf_jinja_new_list(&run->heap, JINJA_LIST, out))
        return false;
    if (words) return split_words(run, self_of(arguments), most, out->list);
    if (by.n == 0) return pf_jinja_fail(run, "split: the separator is empty");
    return right ? rsplit_by(run, self_of(arguments), by, most, out->list)
                 : split_by(run, self_of(arguments), by, most, out->list);
}

JINJA_CALL(split) { return split(run, arguments, false, out); }
JINJA_CALL(rsplit) { return split(run, arguments, true, out); }

static bool ends_line(uint32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool pf_jinja_lines(jinja_run *run, jinja_string text, bool keep_ends, jinja_list *lines) {
    size_t begin = 0, size = 0;
    for (size_t at = 0; at < text.n; at += size) {
        uint32_t c = pf_jinja_char(text, at, &size);
        if (!ends_line(c)) continue;
        if (c == '\r' && at + 1 < text.n && text.bytes[at + 1] == '\n') size = 2;
        if (!push_part(run, lines, part(text, begin, keep_ends ? at + size : at))) return false;
        begin = at + size;
    }
    return begin == text.n || push_part(run, lines, part(text, begin, text.n));
}

JINJA_CALL(splitlines) {
    bool keep = pf_jinja_truth_argument(arguments, 1, "keepends", false);
    return pf_jinja_new_list(&run->heap, JINJA_LIST, out) &&
           pf_jinja_lines(run, self_of(arguments), keep, out->list);
}

static bool partition(jinja_run *run, const jinja_arguments *arguments, bool right,
                      jinja_value *out) {
    jinja_string text = self_of(arguments), by = {NULL, 0}, none = {"", 0};
    if (!pf_jinja_string_argument(run, arguments, 1, "sep", &by)) return false;
    if (by.n == 0) return pf_jinja_fail(run, "partition: the separator is empty");
    size_t found =
        right ? pf_jinja_find_last(&run->heap, text, by) : pf_jinja_find(&run->heap, text, 0, by);
    bool there = found != SIZE_MAX;
    jinja_string head = there ? part(text, 0, found) : right ? none : text;
    jinja_string tail = there ? part(text, found + by.n, text.n) : right ? text : none;
    return pf_jinja_new_list(&run->heap, JINJA_TUPLE, out) && push_part(run, out->list, head) &&
           push_part(run, out->list, there ? by : none) && push_part(run, out->list, tail);
}

JINJA_CALL(partition) { return partition(run, arguments, false, out); }
JINJA_CALL(rpartition) { return partition(run, arguments, true, out); }

/* ---- beginnings and ends ---- */

static bool begins_with(jinja_string text, jinja_string with) {
    return with.n <= text.n && pf_jinja_same(part(text, 0, with.n), with);
}

static bool ends_with(jinja_string text, jinja_string with) {
    return with.n <= text.n && pf_jinja_same(part(text, text.n - with.n, text.n), with);
}

/* The text may be compared with several: a tuple. */
static bool is_with(jinja_run *run, const jinja_arguments *arguments,
                    bool (*with)(jinja_string, jinja_string), jinja_value *out) {
    jinja_string one = {NULL, 0};
    const jinja_value *given = pf_jinja_argument(arguments, 1, "prefix");
    if (!given) return pf_jinja_fail(run, "startswith and endswith need an argument");
    bool any = false;
    if (given->kind == JINJA_TUPLE) {
        for (size_t i = 0; i < given->list->n && !any; i++) {
            const jinja_value *item = &given->list->items[i];
            any = item->kind == JINJA_TEXT && with(self_of(arguments), item->string);
        }
        return give_truth(out, any);
    }
    return pf_jinja_string_argument(run, arguments, 1, "prefix", &one) &&
           give_truth(out, with(self_of(arguments), one));
}

JINJA_CALL(startswith) { return is_with(run, arguments, begins_with, out); }
JINJA_CALL(endswith) { return is_with(run, arguments, ends_with, out); }

JINJA_CALL(removeprefix) {
    jinja_string text = self_of(arguments), with = {NULL, 0};
    if (!pf_jinja_string_argument(run, arguments, 1, "prefix", &with)) return false;
    return give(out, begins_with(text, with) ? part(text, with.n, text.n) : text);
}

JINJA_CALL(removesuffix) {
    jinja_string text = self_of(arguments), with = {NULL, 0};
    if (!pf_jinja_string_argument(run, arguments, 1, "suffix", &with)) return false;
    return give(out, ends_with(text, with) ? part(text, 0, text.n - with.n) : text);
}

/* ---- searching ---- */

static bool find(jinja_run *run, const jinja_arguments *arguments, bool right, jinja_value *out) {
    jinja_string text = self_of(arguments), what = {NULL, 0};
    int64_t from = 0;
    if (!pf_jinja_string_argument(run, arguments, 1, "sub", &what) ||
        !pf_jinja_integer_argument(run, arguments, 2, "start", &from))
        return false;
    if (from < 0) from += (int64_t)pf_jinja_length(text);
    size_t begin = pf_jinja_offset(text, from > 0 ? (size_t)from : 0);
    size_t at = right ? pf_jinja_find_last(&run->heap, text, what)
                      : pf_jinja_find(&run->heap, text, begin, what);
    bool there = at != SIZE_MAX && at >= begin;
    *out = pf_jinja_integer(there ? (int64_t)pf_jinja_length(part(text, 0, at)) : -1);
    return true;
}

JINJA_CALL(find_in) { return find(run, arguments, false, out); }
JINJA_CALL(rfind_in) { return find(run, arguments, true, out); }

JINJA_CALL(count_in) {
    jinja_string text = self_of(arguments), what = {NULL, 0};
    int64_t count = 0;
    if (!pf_jinja_string_argument(run, arguments, 1, "sub", &what)) return false;
    if (what.n == 0) {
        *out = pf_jinja_integer((int64_t)pf_jinja_length(text) + 1);
        return true;
    }
    for (size_t at = 0; (at = pf_jinja_find(&run->heap, text, at, what)) != SIZE_MAX; at += what.n)
        count++;
    *out = pf_jinja_integer(count);
    return true;
}

JINJA_CALL(replace) {
    jinja_string text = self_of(arguments), old = {NULL, 0}, new = {NULL, 0};
    int64_t most = -1;
    jinja_builder b = {.heap = &run->heap};
    size_t at = 0;
    if (!pf_jinja_argument(arguments, 1, "old") || !pf_jinja_argument(arguments, 2, "new"))
        return pf_jinja_fail(run, "replace needs two texts");
    if (!pf_jinja_string_argument(run, arguments, 1, "old", &old) ||
        !pf_jinja_string_argument(run, arguments, 2, "new", &new) ||
        !pf_jinja_integer_argument(run, arguments, 3, "count", &most))
        return false;
    for (; most != 0; most--) {
        size_t found = pf_jinja_find(&run->heap, text, at, old), step = 0;
        if (found == SIZE_MAX) break;
        if (!pf_jinja_add_string(&b, part(text, at, found)) || !pf_jinja_add_string(&b, new) ||
            !pf_jinja_work(run))
            return false;
        at = found + old.n;
        if (old.n > 0) continue;
        if (at == text.n) break; /* an empty one is between all characters */
        pf_jinja_char(text, at, &step);
        if (!pf_jinja_add_string(&b, part(text, at, at + step))) return false;
        at += step;
    }
    if (!pf_jinja_add_string(&b, part(text, at, text.n))) return false;
    *out = pf_jinja_built(&b);
    return true;
}

JINJA_CALL(join_by) {
    const jinja_value *value = pf_jinja_argument(arguments, 1, "iterable");
    const jinja_list *items;
    jinja_builder b = {.heap = &run->heap};
    if (!value) return pf_jinja_fail(run, "join needs a list");
    if (!pf_jinja_items(run, value, &items)) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (items->items[i].kind != JINJA_TEXT)
            return pf_jinja_fail(run, "join: %s is no string",
                                 pf_jinja_kind_name(&items->items[i]));
        if ((i && !pf_jinja_add_string(&b, self_of(arguments))) ||
            !pf_jinja_add_string(&b, items->items[i].string) || !pf_jinja_work(run))
            return false;
    }
    *out = pf_jinja_built(&b);
    return true;
}

/* ---- case and classes ---- */

static bool cased(jinja_run *run, const jinja_arguments *arguments, jinja_class class,
                  jinja_value *out) {
    jinja_builder b = {.heap = &run->heap};
    if (!pf_jinja_add_cased(&b, self_of(arguments), class)) return false;
    *out = pf_jinja_built(&b);
    return true;
}

JINJA_CALL(upper) { return cased(run, arguments, JINJA_UPPER, out); }
JINJA_CALL(lower) { return cased(run, arguments, JINJA_LOWER, out); }

JINJA_CALL(title) {
    jinja_builder b = {.heap = &run->heap};
    if (!pf_jinja_add_title(&b, self_of(arguments))) return false;
    *out = pf_jinja_built(&b);
    return true;
}

JINJA_CALL(capitalize) {
    jinja_string text = self_of(arguments);
    jinja_builder b = {.heap = &run->heap};
    size_t first = pf_jinja_offset(text, 1);
    if (!pf_jinja_add_cased(&b, part(text, 0, first), JINJA_UPPER) ||
        !pf_jinja_add_cased(&b, part(text, first, text.n), JINJA_LOWER))
        return false;
    *out = pf_jinja_built(&b);
    return true;
}

static bool all_in(const jinja_arguments *arguments, jinja_class class, jinja_value *out) {
    jinja_string text = self_of(arguments);
    bool all = text.n > 0;
    for (size_t at = 0, size = 0; all && at < text.n; at += size)
        all = pf_jinja_in_class(pf_jinja_char(text, at, &size), class);
    return give_truth(out, all);
}

/* Some character has the case, and none the other. */
static bool in_case(const jinja_arguments *arguments, jinja_class class, jinja_class other,
                    jinja_value *out) {
    jinja_string text = self_of(arguments);
    bool some = false, none = true;
    for (size_t at = 0, size = 0; at < text.n; at += size) {
        uint32_t c = pf_jinja_char(text, at, &size);
        some = some || pf_jinja_in_class(c, class);
        none = none && !pf_jinja_in_class(c, other);
    }
    return give_truth(out, some && none);
}

#define CLASS_CALL(name, answer)                                                                   \
    JINJA_CALL(name) {                                                                             \
        (void)run;                                                                                 \
        return answer;                                                                             \
    }
CLASS_CALL(isspace, all_in(arguments, JINJA_SPACE, out))
CLASS_CALL(isalpha, all_in(arguments, JINJA_ALPHA, out))
CLASS_CALL(isdigit, all_in(arguments, JINJA_DIGIT, out))
CLASS_CALL(isalnum, all_in(arguments, JINJA_ALNUM, out))
CLASS_CALL(isupper, in_case(arguments, JINJA_UPPER, JINJA_LOWER, out))
CLASS_CALL(islower, in_case(arguments, JINJA_LOWER, JINJA_UPPER, out))

/* ---- padding ---- */

/* Fills up to a width: `left` of 2 parts before the text (2: all, 1: half). */
static bool pad(jinja_run *run, const jinja_arguments *arguments, int left, const char *fill,
                jinja_value *out) {
    jinja_string text = self_of(arguments), with = {fill, 1};
    int64_t width = 80;
    jinja_builder b = {.heap = &run->heap};
    if (!pf_jinja_integer_argument(run, arguments, 1, "width", &width) ||
        !pf_jinja_string_argument(run, arguments, 2, "fillchar", &with))
        return false;
    int64_t missing = width - (int64_t)pf_jinja_length(text);
    if (missing <= 0) return give(out, text);
    /* Python's center puts the odd one to the left if the width is odd. */
    int64_t before = left == 2 ? missing : left == 1 ? missing / 2 + (missing & width & 1) : 0;
    bool sign = *fill == '0' && text.n && (text.bytes[0] == '-' || text.bytes[0] == '+');
    bool good = !sign || pf_jinja_add(&b, text.bytes, 1);
    for (int64_t i = 0; good && i < before; i++)
        good = pf_jinja_add_string(&b, with) && pf_jinja_work(run);
    good = good && pf_jinja_add_string(&b, part(text, sign, text.n));
    for (int64_t i = before; good && i < missing; i++)
        good = pf_jinja_add_string(&b, with) && pf_jinja_work(run);
    *out = pf_jinja_built(&b);
    return good;
}

JINJA_CALL(ljust) { return pad(run, arguments, 0, " ", out); }
JINJA_CALL(rjust) { return pad(run, arguments, 2, " ", out); }
JINJA_CALL(center) { return pad(run, arguments, 1, " ", out); }
JINJA_CALL(zfill) { return pad(run, arguments, 2, "0", out); }
