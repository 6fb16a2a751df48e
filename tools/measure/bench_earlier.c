/* floor 5.4 - bench earlier: the results of an earlier run of bench, from its --json. */
#include "bench_earlier.h"

#include "json.h"
#include "memory.h"

#include <string.h>

struct bench_earlier {
    json_t *json;
};

/* Every result has what bench_earlier_find reads. */
static bool is_sound(const json_t *json) {
    const json_t *results = json_object_get(json, "results"), *result;
    size_t i;
    json_array_foreach(results, i, result) {
        if (!json_is_string(json_object_get(result, "test")) ||
            !json_is_string(json_object_get(result, "attention")) ||
            !json_is_integer(json_object_get(result, "context")) ||
            !json_is_number(json_object_get(result, "tokens_per_second")) ||
            !json_is_number(json_object_get(result, "share_of_limit")))
            return false;
    }
    return json_array_size(results) > 0;
}

bench_earlier *bench_earlier_read(const char *path, pf_error *error) {
    static const char *const advice = "--compare takes what `performer bench --json` printed";
    json_t *json = pf_json_open(path, PF_JSON_SMALL, error);
    bench_earlier *earlier = NULL;
    if (!json)
        pf_fail(error, "%s; %s", error->message, advice);
    else if (!is_sound(json))
        pf_fail(error, "%s has no results of a benchmark; %s", path, advice);
    else
        earlier = pf_calloc(1, sizeof *earlier, "the earlier results", error);
    if (earlier)
        earlier->json = json;
    else
        json_decref(json);
    return earlier;
}

void bench_earlier_free(bench_earlier *earlier) {
    if (!earlier) return;
    json_decref(earlier->json);
    pf_free(earlier);
}

static bool equals(const json_t *result, const char *key, const char *text) {
    return strcmp(json_string_value(json_object_get(result, key)), text) == 0;
}

bool bench_earlier_find(const bench_earlier *earlier, const char *test, const char *attention,
                        size_t context, double *tokens_per_second, double *share) {
    const json_t *results = json_object_get(earlier->json, "results"), *result;
    size_t i;
    json_array_foreach(results, i, result) {
        if (!equals(result, "test", test) || !equals(result, "attention", attention) ||
            json_integer_value(json_object_get(result, "context")) != (json_int_t)context)
            continue;
        *tokens_per_second = json_number_value(json_object_get(result, "tokens_per_second"));
        *share = json_number_value(json_object_get(result, "share_of_limit"));
        return true;
    }
    return false;
}

const char *bench_earlier_text(const bench_earlier *earlier, const char *key) {
    const char *text = json_string_value(json_object_get(earlier->json, key));
    return text ? text : "";
}

long bench_earlier_number(const bench_earlier *earlier, const char *key) {
    return (long)json_integer_value(json_object_get(earlier->json, key));
}

const char *bench_earlier_type(const bench_earlier *earlier) {
    const json_t *first = json_array_get(json_object_get(earlier->json, "results"), 0);
    const char *type = json_string_value(json_object_get(first, "type"));
    return type ? type : "";
}
