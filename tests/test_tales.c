/* floor 6.1 - test of the shipped models: their logits are those of an independent float64 oracle.
 *
 * tests/make_tales_goldens.py is the oracle. It computes whole matrices of attention weights, where
 * the engine keeps running sums. So a plain clone shows that both attentions compute what they
 * should. */
#include "testing.h"

#include "load.h"
#include "session.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define FIXTURES "tests/fixtures/tales/"
#define WEIGHTS "models/weights/"

/* The golden files hold the logits of every 16th token, at every position. */
enum { MAX_TOKENS = 64, STRIDE = 16 };

static size_t read_ids(int32_t *ids) {
    size_t n = 0;
    FILE *file = fopen(FIXTURES "text.tokens.txt", "r");
    assert_non_null(file);
    while (n < MAX_TOKENS && fscanf(file, "%d", &ids[n]) == 1) n++;
    fclose(file);
    assert_true(n > 16);
    return n;
}

/* [n, n_vocab / STRIDE]; free it. */
static float *read_golden(const char *path, size_t count) {
    float *golden = malloc(count * sizeof *golden);
    FILE *file = fopen(path, "rb");
    assert_non_null(golden);
    if (!file) fail_msg("%s is not there", path);
    assert_int_equal(fread(golden, sizeof *golden, count, file), count);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    return golden;
}

/* The largest difference from the golden logits if the text is read `chunk` tokens at a time. */
static double worst_difference(const pf_model *model, const pf_session_options *options,
                               const int32_t *ids, size_t n, const float *golden, size_t chunk) {
    pf_error error = {""};
    size_t V = model->n_vocab;
    pf_session *session = pf_session_new(model, options, &error);
    if (!session) fail_msg("%s", error.message);
    float *logits = malloc(n * V * sizeof *logits);
    assert_non_null(logits);
    for (size_t i = 0; i < n; i += chunk) {
        size_t size = n - i < chunk ? n - i : chunk;
        if (!pf_session_append(session, ids + i, size, logits + i * V, size, &error))
            fail_msg("%s", error.message);
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t v = 0; v < V; v += STRIDE) {
            double difference = fabs((double)logits[i * V + v] - (double)*golden++);
            if (!(difference <= worst)) worst = difference; /* NaN counts */
        }
    free(logits);
    pf_session_free(session);
    return worst;
}

typedef struct {
    const char *model, *golden;
    pf_attention_kind kind;
    uint32_t window, sinks;
} shipped;

static void logits_are_the_oracles(void **state) {
    const shipped *s = *state;
    const size_t chunks[] = {MAX_TOKENS, 7, 1};
    pf_error error = {""};
    pf_loaded loaded;
    int32_t ids[MAX_TOKENS];
    if (!pf_loaded_open(s->model, &loaded, &error)) fail_msg("%s", error.message);
    size_t n = read_ids(ids);
    assert_int_equal(loaded.model->n_vocab % STRIDE, 0);
    float *golden = read_golden(s->golden, n * loaded.model->n_vocab / STRIDE);

    pf_session_options options = pf_session_options_default(loaded.model);
    assert_int_equal(options.attention.kind, s->kind); /* as the file asks for */
    options.attention.window = s->window;
    options.attention.sinks = s->sinks;
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        for (int threads = 1; threads <= 2; threads++) {
            options.n_threads = threads;
            double worst = worst_difference(loaded.model, &options, ids, n, golden, chunks[i]);
            if (!(worst <= 1e-4))
                fail_msg("%s: a logit is off by %g, %zu tokens at a time, %d threads", s->golden,
                         worst, chunks[i], threads);
        }
    free(golden);
    pf_loaded_close(&loaded);
}

static shipped softmax = {WEIGHTS "tales-softmax.gguf", FIXTURES "softmax.logits.f32",
                          PF_ATTENTION_SOFTMAX, 0, 0};
static shipped favor = {WEIGHTS "tales-favor.gguf", FIXTURES "favor.logits.f32", PF_ATTENTION_FAVOR,
                        0, 0};
static shipped favor_window = {WEIGHTS "tales-favor.gguf", FIXTURES "favor-window.logits.f32",
                               PF_ATTENTION_FAVOR, 5, 1};

int main(void) {
    const struct CMUnitTest tests[] = {
        {"softmax", logits_are_the_oracles, NULL, NULL, &softmax},
        {"favor", logits_are_the_oracles, NULL, NULL, &favor},
        {"favor with a window and a sink", logits_are_the_oracles, NULL, NULL, &favor_window},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
