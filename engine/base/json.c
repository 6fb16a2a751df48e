/* floor 0.3 - JSON: untrusted files, parsed within limits checked before anything is built. */
#include "json.h"

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

json_t *pf_json_parse(pf_slice bytes, pf_json_limits limits, pf_error *error) {
    json_error_t reason;
    if (!check_limits(bytes, limits, error)) return NULL;
    json_t *root =
        json_loadb((const char *)bytes.data, bytes.size, JSON_REJECT_DUPLICATES, &reason);
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
