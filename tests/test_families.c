/* floor 6.1 - test_families: logits of whole models against independent float64 references. */
#include "testing.h"

#include "load.h"
#include "session.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES "tests/fixtures/families/"
#define SHARED "../shared/data/models/families/"

enum { MAX_TOKENS = 64 };

/* A text, and the logits [n, n_vocab] after each of its tokens. */
typedef struct {
    int32_t ids[MAX_TOKENS];
    size_t n, n_vocab;
    float *golden;
} text;

static text read_text(const char *tokens_path, const char *golden_path, size_t n_vocab) {
    text t = {.n_vocab = n_vocab};
    FILE *file = fopen(tokens_path, "r");
    assert_non_null(file);
    while (t.n < MAX_TOKENS && fscanf(file, "%d", &t.ids[t.n]) == 1) t.n++;
    fclose(file);
    t.golden = malloc(t.n * n_vocab * sizeof *t.golden);
    file = fopen(golden_path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(t.golden, sizeof *t.golden, t.n * n_vocab, file), t.n * n_vocab);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    return t;
}

/* The logits after each token of the text, computed `chunk` tokens at a time. */
static float *run(const pf_model *model, const text *t, bool float_activations, size_t chunk) {
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(model);
    options.float_activations = float_activations;
    options.chunk = chunk;
    options.n_threads = 2;
    pf_session *session = pf_session_new(model, &options, &error);
    if (!session) fail_msg("%s", error.message);
    float *logits = malloc(t->n * t->n_vocab * sizeof *logits);
    for (size_t i = 0; i < t->n; i += chunk) {
        size_t n = t->n - i < chunk ? t->n - i : chunk;
        if (!pf_session_append(session, t->ids + i, n, logits + i * t->n_vocab, n, &error))
            fail_msg("%s", error.message);
    }
    pf_session_free(session);
    return logits;
}

static double max_difference(const text *t, const float *logits) {
    double worst = 0;
    for (size_t i = 0; i < t->n * t->n_vocab; i++) {
        double difference = fabs((double)logits[i] - (double)t->golden[i]);
        if (!(difference <= worst)) worst = difference; /* NaN counts */
    }
    return worst;
}

static double log_sum_exp(const float *x, size_t n) {
    double top = (double)x[0];
    for (size_t i = 1; i < n; i++) top = fmax(top, (double)x[i]);
    double sum = exp((double)x[0] - top);
    for (size_t i = 1; i < n; i++) sum += exp((double)x[i] - top);
    return top + log(sum);
}

/* Mean over tokens of KL(golden || logits), in nats. */
static double mean_kl(const text *t, const float *logits) {
    double total = 0;
    for (size_t i = 0; i < t->n; i++) {
        const float *g = t->golden + i * t->n_vocab, *x = logits + i * t->n_vocab;
        double zg = log_sum_exp(g, t->n_vocab), zx = log_sum_exp(x, t->n_vocab);
        for (size_t v = 0; v < t->n_vocab; v++) {
            double log_p = (double)g[v] - zg;
            total += exp(log_p) * (log_p - ((double)x[v] - zx));
        }
    }
    return total / (double)t->n;
}

static void check_within(const char *what, const char *path, double found, double limit) {
    if (!(found <= limit)) fail_msg("%s: %s is %g, allowed are %g", path, what, found, limit);
}

/* A limit of 0 is not checked. */
static void check_model(const char *path, const char *tokens, const char *golden,
                        double float_limit, double int8_kl_limit) {
    const size_t chunks[] = {MAX_TOKENS, 1, 5};
    pf_error error = {""};
    pf_loaded loaded;
    if (!pf_loaded_open(path, &loaded, &error)) fail_msg("%s", error.message);
    text t = read_text(tokens, golden, loaded.model->n_vocab);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        float *logits = run(loaded.model, &t, true, chunks[i]);
        check_within("the largest difference of a logit", path, max_difference(&t, logits),
                     float_limit);
        free(logits);
        logits = run(loaded.model, &t, false, chunks[i]);
        check_within("KL(golden || int8 path)", path, mean_kl(&t, logits), int8_kl_limit);
        free(logits);
    }
    free(t.golden);
    pf_loaded_close(&loaded);
}

/* ---- fixtures of make_tiny_families.py ---- */

static void test_fixture(void **state) {
    const char *name = *state;
    char path[128], tokens[128], golden[128];
    bool quantised = strcmp(name, "phi3") == 0;
    snprintf(path, sizeof path, FIXTURES "%s.gguf", name);
    snprintf(tokens, sizeof tokens, FIXTURES "%s.tokens.txt", name);
    snprintf(golden, sizeof golden, FIXTURES "%s.logits.f32", name);
    check_model(path, tokens, golden, 1e-4, quantised ? 1e-2 : 1e-9);
}

/* ---- ../shared: every model in the index.json of a family, within the limits given there ---- */

static const char *text_of(const json_t *entry, const char *key) {
    const char *value = json_string_value(json_object_get(entry, key));
    assert_non_null(value);
    return value;
}

static void check_entry(const char *family, const json_t *entry) {
    char path[256], tokens[256], golden[256];
    const json_t *suggested = json_object_get(entry, "suggested");
    double float_limit = json_number_value(json_object_get(suggested, "float_activations_max_abs"));
    double kl_limit =
        json_number_value(json_object_get(suggested, "reduced_activations_mean_kl_max"));
    assert_true(float_limit > 0 && kl_limit > 0);
    snprintf(path, sizeof path, SHARED "%s/%s", family, text_of(entry, "model"));
    snprintf(tokens, sizeof tokens, SHARED "%s/%s", family, text_of(entry, "tokens"));
    snprintf(golden, sizeof golden, SHARED "%s/%s", family, text_of(entry, "golden"));
    check_model(path, tokens, golden, float_limit, kl_limit);
}

static void test_shared_family(void **state) {
    const char *family = *state;
    char path[256];
    snprintf(path, sizeof path, SHARED "%s/index.json", family);
    need_file(path);
    json_t *index = json_load_file(path, 0, NULL);
    assert_true(json_array_size(index) > 0);
    for (size_t i = 0; i < json_array_size(index); i++)
        check_entry(family, json_array_get(index, i));
    json_decref(index);
}

#define FIXTURE(name)                                                                              \
    { "fixture " name, test_fixture, NULL, NULL, (void *)(uintptr_t)name }
#define FAMILY(name)                                                                               \
    { "shared " name, test_shared_family, NULL, NULL, (void *)(uintptr_t)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE("llama"),
        FIXTURE("llama-scaled"),
        FIXTURE("llama-linear"),
        FIXTURE("qwen2"),
        FIXTURE("qwen3"),
        FIXTURE("gpt2"),
        FIXTURE("phi3"),
        FIXTURE("gemma"),
        FIXTURE("gemma2"),
        FIXTURE("gemma3"),
        FIXTURE("llama-sliding"),
        FIXTURE("gptneox"),
        FIXTURE("gptneox-serial"),
        FIXTURE("phi2"),
        FIXTURE("starcoder2"),
        FIXTURE("stablelm"),
        FIXTURE("granite"),
        FIXTURE("smollm3"),
        FIXTURE("olmo2"),
        FAMILY("llama"),
        FAMILY("qwen2"),
        FAMILY("gpt2"),
        FAMILY("phi3"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
