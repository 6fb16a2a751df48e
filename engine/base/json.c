/* floor 0.3 - JSON: untrusted files, parsed within limits checked before anything is built. */
#include "json.h"

#include "memory.h"

#include <string.h>

/* Skips a string whose opening quote is at i - 1. Returns the index after the closing quote, or
 * the size if there is none. */
static size_t skip_string(pf_slice bytes, size_t i) {
    for (; i < bytes.size && bytes.data[i] != '"'; i++)
        if (bytes.data[i] == '\\') i++;
    return i < bytes.size ? i + 1 : bytes.size;
}

/* Counts what a parser would build: every value but the outermost follows a comma or an opening
 * bracket. */
static bool check_limits(pf_slice bytes, pf_json_limits limits, pf_error *error) {
    size_t depth = 0, values = 1;
    if (bytes.size > limits.max_bytes)
        return pf_fail(error, "the JSON text has %zu bytes; at most %zu are expected", bytes.size,
                       limits.max_bytes);
    for (size_t i = 0; i < bytes.size;) {
        uint8_t c = bytes.data[i++];
        if (c == '"') i = skip_string(bytes, i);
        if ((c == ']' || c == '}') && depth > 0) depth--;
        if (c == '[' || c == '{') depth++;
        values += c == ',' || c == '[' || c == '{';
        if (depth > limits.max_depth)
            return pf_fail(error, "the JSON text is nested deeper than %zu levels, at byte %zu",
                           limits.max_depth, i);
        if (values > limits.max_values)
            return pf_fail(error, "the JSON text has more than the %zu values expected",
                           limits.max_values);
    }
    return true;
}

/* ---- numbers beyond 64 bits ----
 * transformers writes 1000000000000000019884624838656 for "no limit". jansson refuses such a whole
 * number, so we write its last three digits as an exponent: then it is a real. */

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* True if the digits are those of a whole number that does not fit 64 bits, with a sign. */
static bool is_too_large(const uint8_t *digits, size_t n) {
    static const char largest[] = "9223372036854775807";
    size_t limit = sizeof largest - 1;
    return n > limit || (n == limit && memcmp(digits, largest, limit) > 0);
}

/* The first number beyond 64 bits from byte *at on: its length, and its place in *at. 0: none. */
static size_t find_too_large(pf_slice bytes, size_t *at) {
    for (size_t i = *at; i < bytes.size;) {
        size_t end = i;
        while (end < bytes.size && is_digit(bytes.data[end])) end++;
        bool whole = end == bytes.size || !strchr(".eE", bytes.data[end]);
        bool begins = i == 0 || !strchr(".eE+", bytes.data[i - 1]);
        *at = i;
        if (whole && begins && is_too_large(bytes.data + i, end - i)) return end - i;
        if (end > i)
            i = end;
        else if (bytes.data[i++] == '"')
            i = skip_string(bytes, i);
    }
    return 0;
}

/* A copy of the text with reals in place of such numbers; *copy is NULL if there are none. */
static bool write_reals(pf_slice bytes, char **copy, pf_error *error) {
    *copy = NULL;
    for (size_t at = 0, n; (n = find_too_large(bytes, &at)) > 0; at += n) {
        if (!*copy) *copy = pf_calloc(bytes.size, 1, "the JSON text", error);
        if (!*copy) return false;
        if (bytes.data != (const uint8_t *)*copy) memcpy(*copy, bytes.data, bytes.size);
        bytes.data = (const uint8_t *)*copy;
        memcpy(*copy + at + n - 3, "e03", 3);
    }
    return true;
}

json_t *pf_json_parse(pf_slice bytes, pf_json_limits limits, pf_error *error) {
    json_error_t reason;
    char *copy;
    if (!check_limits(bytes, limits, error) || !write_reals(bytes, &copy, error)) return NULL;
    json_t *root = json_loadb(copy ? copy : (const char *)bytes.data, bytes.size,
                              JSON_REJECT_DUPLICATES, &reason);
    pf_free(copy);
    if (!root) {
        pf_fail(error, "the JSON text is wrong in line %d, column %d: %s", reason.line,
                reason.column, reason.text);
    } else if (!json_is_object(root)) {
        pf_fail(error, "the JSON text is not an object");
        json_decref(root);
        root = NULL;
    }
    return root;
}

json_t *pf_json_open(const char *path, pf_json_limits limits, pf_error *error) {
    pf_error reason = {""};
    pf_file file;
    if (!pf_file_open(path, &file, error)) return NULL;
    json_t *root = pf_json_parse(file.bytes, limits, &reason);
    pf_file_close(&file);
    if (!root) pf_fail(error, "%s: %s", path, reason.message);
    return root;
}
