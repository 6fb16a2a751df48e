/* floor 3.1 - Jinja text: characters, searching, and values as Python prints them. */
#include "jinja_text.h"

#include "utf8.h"

#include <utf8proc.h>

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPR_DEPTH = 100 };

/* ---- characters ---- */

static bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool pf_jinja_in_class(uint32_t code, jinja_class class) {
    utf8proc_int32_t c = (utf8proc_int32_t)code;
    utf8proc_category_t category = utf8proc_category(c);
    bool alpha = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    bool digit = category == UTF8PROC_CATEGORY_ND;
    switch (class) {
    case JINJA_SPACE:
        return is_space(code);
    case JINJA_ALPHA:
        return alpha;
    case JINJA_DIGIT:
        return digit;
    case JINJA_ALNUM:
        return alpha || digit || category == UTF8PROC_CATEGORY_NL ||
               category == UTF8PROC_CATEGORY_NO;
    case JINJA_UPPER:
        return category == UTF8PROC_CATEGORY_LU;
    default:
        return category == UTF8PROC_CATEGORY_LL;
    }
}

uint32_t pf_jinja_char(jinja_string string, size_t at, size_t *size) {
    pf_utf8 c = pf_utf8_next(string.bytes + at, string.n - at);
    *size = c.size;
    return c.valid ? c.code : 0xFFFD;
}

size_t pf_jinja_space_before(jinja_string string) {
    size_t at = 0, size = 0;
    while (at < string.n && is_space(pf_jinja_char(string, at, &size))) at += size;
    return at;
}

size_t pf_jinja_space_behind(jinja_string string) {
    size_t end = string.n;
    while (end > 0) {
        size_t begin = end - 1, size = 0;
        while (begin > 0 && end - begin < 4 && ((unsigned char)string.bytes[begin] & 0xC0) == 0x80)
            begin--;
        jinja_string last = {string.bytes + begin, end - begin};
        if (!is_space(pf_jinja_char(last, 0, &size)) || size != last.n) break;
        end = begin;
    }
    return string.n - end;
}

size_t pf_jinja_length(jinja_string string) {
    size_t count = 0, size = 0;
    for (size_t at = 0; at < string.n; at += size, count++) pf_jinja_char(string, at, &size);
    return count;
}

size_t pf_jinja_offset(jinja_string string, size_t index) {
    size_t at = 0, size = 0;
    for (; index > 0 && at < string.n; index--, at += size) pf_jinja_char(string, at, &size);
    return at;
}

size_t pf_jinja_find(jinja_heap *heap, jinja_string string, size_t from, jinja_string part) {
    if (part.n == 0) return from <= string.n ? from : SIZE_MAX;
    for (; from + part.n <= string.n; from++) {
        const char *first =
            memchr(string.bytes + from, part.bytes[0], string.n - part.n + 1 - from);
        if (!first) break;
        size_t at = (size_t)(first - string.bytes);
        heap->work += 1 + (at - from) / 64;
        from = at;
        if (memcmp(first, part.bytes, part.n) == 0) return from;
    }
    return SIZE_MAX;
}

size_t pf_jinja_find_last(jinja_heap *heap, jinja_string string, jinja_string part) {
    if (part.n > string.n) return SIZE_MAX;
    for (size_t at = string.n - part.n + 1; at-- > 0;) {
        heap->work++;
        if (part.n == 0 || memcmp(string.bytes + at, part.bytes, part.n) == 0) return at;
    }
    return SIZE_MAX;
}

/* ---- building ---- */

bool pf_jinja_add(jinja_builder *b, const char *bytes, size_t n) {
    if (n > b->capacity - b->n) {
        size_t wanted = 2 * b->capacity > b->n + n ? 2 * b->capacity : b->n + n + 32;
        char *larger = pf_jinja_take(b->heap, wanted);
        if (!larger) return false;
        if (b->n) memcpy(larger, b->bytes, b->n);
        b->bytes = larger;
        b->capacity = wanted;
    }
    if (n) memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    b->heap->work += n / 64;
    return true;
}

bool pf_jinja_add_string(jinja_builder *b, jinja_string string) {
    return pf_jinja_add(b, string.bytes, string.n);
}

bool pf_jinja_add_name(jinja_builder *b, const char *name) {
    return pf_jinja_add(b, name, strlen(name));
}

bool pf_jinja_add_code(jinja_builder *b, uint32_t code) {
    char bytes[4];
    return pf_jinja_add(b, bytes, pf_utf8_write(code, bytes));
}

static bool add_in_case(jinja_builder *b, jinja_string string, size_t at, size_t *size,
                        jinja_class class) {
    pf_utf8 c = pf_utf8_next(string.bytes + at, string.n - at);
    *size = c.size;
    if (!c.valid) return pf_jinja_add(b, string.bytes + at, c.size);
    if (class == JINJA_UPPER && c.code == 0xDF) return pf_jinja_add(b, "SS", 2);
    utf8proc_int32_t code = (utf8proc_int32_t)c.code;
    code = class == JINJA_UPPER ? utf8proc_toupper(code) : utf8proc_tolower(code);
    return pf_jinja_add_code(b, (uint32_t)code);
}

bool pf_jinja_add_cased(jinja_builder *b, jinja_string string, jinja_class upper_or_lower) {
    for (size_t at = 0, size = 0; at < string.n; at += size)
        if (!add_in_case(b, string, at, &size, upper_or_lower)) return false;
    return true;
}

bool pf_jinja_add_title(jinja_builder *b, jinja_string string) {
    bool inside = false;
    for (size_t at = 0, size = 0; at < string.n; at += size) {
        bool letter = pf_jinja_in_class(pf_jinja_char(string, at, &size), JINJA_ALPHA);
        if (!add_in_case(b, string, at, &size, inside ? JINJA_LOWER : JINJA_UPPER)) return false;
        inside = letter;
    }
    return true;
}

jinja_value pf_jinja_built(const jinja_builder *b) {
    return pf_jinja_text((jinja_string){b->bytes ? b->bytes : "", b->n});
}

/* ---- values as text ---- */

/* A decimal point, whatever the locale prints. */
static void print_real(double real, int digits, char *out, size_t room) {
    snprintf(out, room, "%.*e", digits, real);
    const char *point = localeconv()->decimal_point;
    char *found = point && *point ? strstr(out, point) : NULL;
    if (!found) return;
    *found = '.';
    memmove(found + 1, found + strlen(point), strlen(found + strlen(point)) + 1);
}

bool pf_jinja_read_real(jinja_string text, double *real) {
    char copy[128], *end;
    size_t before = pf_jinja_space_before(text), behind = pf_jinja_space_behind(text);
    if (before == text.n || text.n - before - behind >= sizeof copy / 2) return false;
    size_t n = 0;
    const char *point = localeconv()->decimal_point;
    for (size_t i = before; i < text.n - behind; i++) {
        char c = text.bytes[i];
        if (!strchr("+-.0123456789eE", c) || !c) return false;
        if (c != '.')
            copy[n++] = c;
        else
            for (const char *p = point; *p && n + 1 < sizeof copy; p++) copy[n++] = *p;
    }
    copy[n] = '\0';
    *real = strtod(copy, &end);
    return *end == '\0' && n > 0;
}

/* From "d.ddde[+-]xx" to Python's form: without exponent from 1e-4 to 1e16. */
static bool add_decimal(jinja_builder *b, const char *scientific) {
    char digits[32] = "", exponent[16];
    int n = 0, power = atoi(strchr(scientific, 'e') + 1);
    bool good = true;
    for (const char *c = scientific; *c != 'e'; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (*scientific == '-') good = pf_jinja_add(b, "-", 1);
    if (power < -4 || power >= 16) {
        good = good && pf_jinja_add(b, digits, 1) && (n == 1 || pf_jinja_add(b, ".", 1)) &&
               pf_jinja_add(b, digits + 1, (size_t)n - 1);
        snprintf(exponent, sizeof exponent, "e%c%02d", power < 0 ? '-' : '+', abs(power));
        return good && pf_jinja_add_name(b, exponent);
    }
    if (power < 0) good = good && pf_jinja_add_name(b, "0.");
    for (int i = power + 1; good && i < 0; i++) good = pf_jinja_add(b, "0", 1);
    for (int i = 0; good && (i < n || i <= power); i++) {
        good = pf_jinja_add(b, i < n ? digits + i : "0", 1);
        if (i == power) good = good && pf_jinja_add(b, ".", 1);
    }
    return good && (n > power + 1 || pf_jinja_add(b, "0", 1));
}

bool pf_jinja_add_real(jinja_builder *b, double real) {
    char text[64];
    if (isnan(real)) return pf_jinja_add_name(b, "nan");
    if (isinf(real)) return pf_jinja_add_name(b, real < 0 ? "-inf" : "inf");
    int digits = 0;
    do {
        snprintf(text, sizeof text, "%.*e", digits, real);
    } while (strtod(text, NULL) != real && ++digits < 17);
    print_real(real, digits, text, sizeof text);
    return add_decimal(b, text);
}

/* 'text', in double quotes if it has single ones only, with what does not print escaped. */
static bool add_quoted(jinja_builder *b, jinja_string string) {
    bool single = memchr(string.bytes, '\'', string.n), twice = memchr(string.bytes, '"', string.n);
    char quote = single && !twice ? '"' : '\'', escape[16];
    bool good = pf_jinja_add(b, &quote, 1);
    for (size_t at = 0, size = 0; good && at < string.n; at += size) {
        uint32_t c = pf_jinja_char(string, at, &size);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        bool hidden =
            c != ' ' && (category == UTF8PROC_CATEGORY_CN ||
                         (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_CO));
        if (c == (uint32_t)quote || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (hidden)
            snprintf(escape, sizeof escape,
                     c < 0x100     ? "\\x%02" PRIx32
                     : c < 0x10000 ? "\\u%04" PRIx32
                                   : "\\U%08" PRIx32,
                     c);
        else
            escape[0] = '\0';
        good = *escape ? pf_jinja_add_name(b, escape) : pf_jinja_add(b, string.bytes + at, size);
    }
    return good && pf_jinja_add(b, &quote, 1);
}

static bool add_value(jinja_builder *b, const jinja_value *value, int depth);

static bool add_items(jinja_builder *b, const jinja_value *value, int depth) {
    const jinja_list *list = value->list;
    bool tuple = value->kind == JINJA_TUPLE, good = pf_jinja_add(b, tuple ? "(" : "[", 1);
    for (size_t i = 0; good && i < list->n; i++)
        good = (i == 0 || pf_jinja_add(b, ", ", 2)) && add_value(b, &list->items[i], depth + 1);
    if (tuple && list->n == 1) good = good && pf_jinja_add(b, ",", 1);
    return good && pf_jinja_add(b, tuple ? ")" : "]", 1);
}

static bool add_entries(jinja_builder *b, const jinja_dict *dict, int depth) {
    bool good = pf_jinja_add(b, "{", 1);
    for (size_t i = 0; good && i < dict->n; i++)
        good = (i == 0 || pf_jinja_add(b, ", ", 2)) &&
               add_value(b, &dict->entries[i].key, depth + 1) && pf_jinja_add(b, ": ", 2) &&
               add_value(b, &dict->entries[i].value, depth + 1);
    return good && pf_jinja_add(b, "}", 1);
}

static bool add_value(jinja_builder *b, const jinja_value *value, int depth) {
    char number[32];
    if (depth > REPR_DEPTH) return pf_fail(b->heap->error, "values are nested too deeply to print");
    switch (value->kind) {
    case JINJA_UNDEFINED:
        return depth == 0 || pf_jinja_add_name(b, "Undefined");
    case JINJA_NONE:
        return pf_jinja_add_name(b, "None");
    case JINJA_BOOL:
        return pf_jinja_add_name(b, value->truth ? "True" : "False");
    case JINJA_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, value->integer);
        return pf_jinja_add_name(b, number);
    case JINJA_REAL:
        return pf_jinja_add_real(b, value->real);
    case JINJA_TEXT:
        return add_quoted(b, value->string);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return add_items(b, value, depth);
    case JINJA_DICT:
        return add_entries(b, value->dict, depth);
    case JINJA_NAMESPACE:
        return pf_jinja_add_name(b, "<Namespace ") && add_entries(b, value->dict, depth) &&
               pf_jinja_add_name(b, ">");
    default:
        return pf_jinja_add_name(b, "<") && pf_jinja_add_name(b, pf_jinja_kind_name(value)) &&
               pf_jinja_add_name(b, ">");
    }
}

bool pf_jinja_add_str(jinja_builder *b, const jinja_value *value) {
    return value->kind == JINJA_TEXT ? pf_jinja_add_string(b, value->string)
                                     : add_value(b, value, 0);
}

bool pf_jinja_add_repr(jinja_builder *b, const jinja_value *value) {
    return add_value(b, value, value->kind == JINJA_UNDEFINED);
}

bool pf_jinja_str(jinja_heap *heap, const jinja_value *value, jinja_string *string) {
    if (value->kind == JINJA_TEXT) {
        *string = value->string;
        return true;
    }
    jinja_builder b = {.heap = heap};
    if (!pf_jinja_add_str(&b, value)) return false;
    *string = pf_jinja_built(&b).string;
    return true;
}
