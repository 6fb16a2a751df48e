/* floor 3.2 - Jinja JSON: values as Python's json.dumps writes them. */
#include "jinja_json.h"

#include "utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 100 };

static bool add_unicode(jinja_builder *b, uint32_t code) {
    char text[16];
    if (code < 0x10000)
        snprintf(text, sizeof text, "\\u%04" PRIx32, code);
    else
        snprintf(text, sizeof text, "\\u%04" PRIx32 "\\u%04" PRIx32,
                 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
    return pf_jinja_add_name(b, text);
}

static bool add_string(jinja_builder *b, jinja_string string, bool ascii) {
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    bool good = pf_jinja_add(b, "\"", 1);
    for (size_t at = 0, size = 0; good && at < string.n; at += size) {
        uint32_t c = pf_jinja_char(string, at, &size);
        const char *known = c && c < 128 ? strchr(from, (int)c) : NULL;
        if (known)
            good = pf_jinja_add(b, (char[]){'\\', to[known - from]}, 2);
        else if (c < 0x20 || (ascii && c > 0x7E))
            good = add_unicode(b, c);
        else
            good = pf_jinja_add(b, string.bytes + at, size);
    }
    return good && pf_jinja_add(b, "\"", 1);
}

static bool add_break(jinja_builder *b, const jinja_json_options *options, int depth) {
    if (!options->lines) return true;
    bool good = pf_jinja_add(b, "\n", 1);
    for (int i = 0; good && i < depth; i++) good = pf_jinja_add_string(b, options->indent);
    return good;
}

static bool add_value(jinja_builder *b, const jinja_value *value, const jinja_json_options *options,
                      int depth);

static bool add_list(jinja_builder *b, const jinja_list *list, const jinja_json_options *options,
                     int depth) {
    if (list->n == 0) return pf_jinja_add(b, "[]", 2);
    bool good = pf_jinja_add(b, "[", 1);
    for (size_t i = 0; good && i < list->n; i++)
        good = (i == 0 || pf_jinja_add_string(b, options->comma)) &&
               add_break(b, options, depth + 1) &&
               add_value(b, &list->items[i], options, depth + 1);
    return good && add_break(b, options, depth) && pf_jinja_add(b, "]", 1);
}

/* Keys are strings; numbers, truth values and none become some. */
static bool add_key(jinja_builder *b, const jinja_value *key, const jinja_json_options *options) {
    if (key->kind == JINJA_TEXT) return add_string(b, key->string, options->ascii);
    if (!pf_jinja_number(key) && key->kind != JINJA_NONE)
        return pf_fail(b->heap->error, "tojson: %s cannot be a key", pf_jinja_kind_name(key));
    return pf_jinja_add(b, "\"", 1) && add_value(b, key, options, 0) && pf_jinja_add(b, "\"", 1);
}

static int by_key(const void *a, const void *b) {
    const jinja_string x = ((const jinja_entry *)a)->key.string;
    const jinja_string y = ((const jinja_entry *)b)->key.string;
    int order = memcmp(x.bytes, y.bytes, x.n < y.n ? x.n : y.n);
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

/* The entries in the order of their keys, if these are all strings. */
static bool sorted(jinja_heap *heap, const jinja_dict *dict, const jinja_entry **entries) {
    for (size_t i = 0; i < dict->n; i++)
        if (dict->entries[i].key.kind != JINJA_TEXT)
            return pf_fail(heap->error, "tojson: these keys cannot be sorted");
    jinja_entry *copy = pf_jinja_take(heap, dict->n * sizeof *copy);
    if (!copy) return false;
    memcpy(copy, dict->entries, dict->n * sizeof *copy);
    qsort(copy, dict->n, sizeof *copy, by_key);
    *entries = copy;
    return true;
}

static bool add_dict(jinja_builder *b, const jinja_dict *dict, const jinja_json_options *options,
                     int depth) {
    const jinja_entry *entries = dict->entries;
    if (dict->n == 0) return pf_jinja_add(b, "{}", 2);
    if (options->sort_keys && !sorted(b->heap, dict, &entries)) return false;
    bool good = pf_jinja_add(b, "{", 1);
    for (size_t i = 0; good && i < dict->n; i++)
        good = (i == 0 || pf_jinja_add_string(b, options->comma)) &&
               add_break(b, options, depth + 1) && add_key(b, &entries[i].key, options) &&
               pf_jinja_add_string(b, options->colon) &&
               add_value(b, &entries[i].value, options, depth + 1);
    return good && add_break(b, options, depth) && pf_jinja_add(b, "}", 1);
}

static bool add_value(jinja_builder *b, const jinja_value *value, const jinja_json_options *options,
                      int depth) {
    if (depth > JSON_DEPTH) return pf_fail(b->heap->error, "tojson: nested too deeply");
    switch (value->kind) {
    case JINJA_NONE:
        return pf_jinja_add_name(b, "null");
    case JINJA_BOOL:
        return pf_jinja_add_name(b, value->truth ? "true" : "false");
    case JINJA_REAL:
        if (isnan(value->real)) return pf_jinja_add_name(b, "NaN");
        if (isinf(value->real))
            return pf_jinja_add_name(b, value->real < 0 ? "-Infinity" : "Infinity");
        return pf_jinja_add_real(b, value->real);
    case JINJA_INTEGER:
        return pf_jinja_add_str(b, value);
    case JINJA_TEXT:
        return add_string(b, value->string, options->ascii);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return add_list(b, value->list, options, depth);
    case JINJA_DICT:
        return add_dict(b, value->dict, options, depth);
    default:
        return pf_fail(b->heap->error, "tojson: %s cannot be written as JSON",
                       pf_jinja_kind_name(value));
    }
}

bool pf_jinja_add_json(jinja_builder *b, const jinja_value *value,
                       const jinja_json_options *options) {
    return add_value(b, value, options, 0);
}
