/* floor 6.1 - tests of recall heads: probes against sessions, the search against all sets. */
#include "testing.h"

#include "load.h"
#include "memory.h"
#include "probability.h"
#include "recall_heads.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES "tests/fixtures/families/"

enum { T = 90, TEXTS = 3, SINKS = 2, MOST_HEADS = 64 };

static pf_loaded fixture;
static int32_t ids[TEXTS][T];
static pf_recall_text texts[TEXTS];
static size_t n_heads;

static int open_model(const char *path) {
    pf_error error = {""};
    pf_rng rng;
    pf_rng_seed(&rng, 9, 0);
    if (!pf_loaded_open(path, &fixture, &error)) print_message("%s\n", error.message);
    if (!fixture.model) return 1;
    n_heads = (size_t)fixture.model->n_layers * fixture.model->n_kv_heads;
    for (size_t i = 0; i < TEXTS; i++) {
        texts[i] = (pf_recall_text){ids[i], T - 9 * i, 60 - 10 * i, 66 - 10 * i};
        for (size_t t = 0; t < T; t++)
            ids[i][t] = (int32_t)(pf_rng_uniform(&rng) * (double)fixture.model->n_vocab);
    }
    return n_heads > MOST_HEADS;
}

static int open_fixture(void **state) {
    (void)state;
    return open_model(FIXTURES "llama.gguf");
}

static int close_fixture(void **state) {
    (void)state;
    pf_loaded_close(&fixture);
    return 0;
}

/* The loss that sessions give whose heads have these windows for all rows. */
static double session_loss(const uint32_t *windows) {
    pf_error error = {""};
    pf_model model = *fixture.model;
    model.windows = windows;
    model.attention.kind = PF_ATTENTION_LOCAL;
    model.attention.window = 1;
    model.attention.sinks = SINKS;
    pf_session_options options = pf_session_options_default(&model);
    options.n_threads = 1;
    options.float_activations = true;
    pf_session *session = pf_session_new(&model, &options, &error);
    assert_non_null(session);
    size_t V = model.n_vocab;
    float *logits = malloc(T * V * sizeof *logits);
    double sum = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        const pf_recall_text *text = &texts[i];
        double nll = 0;
        pf_session_reset(session);
        assert_true(pf_session_append(session, text->ids, text->n, logits, text->n, &error));
        for (size_t t = text->answer; t < text->n; t++) {
            const float *row = logits + (t - 1) * V;
            nll += pf_softmax_of(row, V, NULL).log_sum - (double)row[text->ids[t]];
        }
        sum += nll / (double)(text->n - text->answer);
    }
    free(logits);
    pf_session_free(session);
    return sum / TEXTS;
}

static pf_answer_probe *new_probe(int n_threads) {
    pf_error error = {""};
    pf_answer_probe *probe =
        pf_answer_probe_new(fixture.model, texts, TEXTS, SINKS, n_threads, &error);
    if (!probe) print_message("%s\n", error.message);
    assert_non_null(probe);
    return probe;
}

/* What the last layer's heads read goes into no other row, so limiting them in the answers alone is
 * the same as limiting them everywhere. */
static void a_probe_is_a_session_with_limited_heads(void **state) {
    (void)state;
    uint32_t windows[MOST_HEADS];
    size_t KV = fixture.model->n_kv_heads;
    for (int threads = 1; threads <= 2; threads++) {
        pf_answer_probe *probe = new_probe(threads);
        for (size_t i = 0; i < n_heads; i++) windows[i] = PF_WINDOW_ALL;
        double exact = session_loss(windows);
        assert_true(fabs(pf_answer_probe_exact_loss(probe) - exact) < 1e-4);
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - exact) < 1e-4);
        windows[n_heads - 1] = 3; /* beside heads without a limit */
        assert_true(KV > 1);
        double limited = session_loss(windows);
        assert_true(fabs(limited - exact) > 1e-3); /* or the test would prove nothing */
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - limited) < 1e-4);
        /* and a probe leaves nothing behind */
        for (size_t i = 0; i < n_heads; i++) windows[i] = 1;
        pf_answer_probe_loss(probe, windows);
        for (size_t i = 0; i < n_heads; i++) windows[i] = PF_WINDOW_ALL;
        windows[0] = 4;
        double first = pf_answer_probe_loss(probe, windows);
        pf_answer_probe_free(probe);
        probe = new_probe(threads);
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - first) < 1e-6);
        pf_answer_probe_free(probe);
    }
}

/* The last global layer of models with sliding layers, or with layers that do not rotate: what is
 * asked of sliding heads changes nothing. */
static void layers_may_slide_or_not_rotate(void **state) {
    (void)state;
    static const char *const paths[] = {FIXTURES "gemma3.gguf", FIXTURES "llama-sliding.gguf",
                                        FIXTURES "smollm3.gguf"};
    uint32_t windows[MOST_HEADS];
    for (size_t m = 0; m < sizeof paths / sizeof *paths; m++) {
        pf_loaded_close(&fixture);
        assert_int_equal(open_model(paths[m]), 0);
        pf_answer_probe *probe = new_probe(2);
        for (size_t i = 0; i < n_heads; i++) windows[i] = PF_WINDOW_ALL;
        double exact = session_loss(windows), probed = pf_answer_probe_exact_loss(probe);
        if (!(fabs(probed - exact) < 1e-4))
            fail_msg("%s: %g in a session, %g probed", paths[m], exact, probed);
        size_t layer = fixture.model->n_layers - 1;
        while (layer > 0 && fixture.model->layers[layer].window > 0) layer--;
        for (size_t i = 0; i < n_heads; i++)
            if (i / fixture.model->n_kv_heads >= layer) windows[i] = 3;
        if (layer + 1 == fixture.model->n_layers)
            assert_true(fabs(pf_answer_probe_loss(probe, windows) - session_loss(windows)) < 1e-4);
        double limited = pf_answer_probe_loss(probe, windows);
        for (size_t i = 0; i < n_heads; i++)
            if (fixture.model->layers[i / fixture.model->n_kv_heads].window > 0) windows[i] = 7;
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - limited) < 1e-9);
        pf_answer_probe_free(probe);
    }
    pf_loaded_close(&fixture);
    assert_int_equal(open_model(FIXTURES "llama.gguf"), 0);
}

/* Probes say the same from whatever windows were settled. */
static void windows_may_be_settled(void **state) {
    (void)state;
    uint32_t windows[MOST_HEADS], settled[MOST_HEADS];
    pf_answer_probe *probe = new_probe(1), *fresh = new_probe(1);
    for (size_t i = 0; i < n_heads; i++) settled[i] = i % 3 ? PF_WINDOW_ALL : 4;
    for (size_t first = 0; first < n_heads; first++) {
        memcpy(windows, settled, sizeof windows);
        windows[first] = 2;
        double expected = pf_answer_probe_loss(fresh, windows);
        assert_true(fabs(pf_answer_probe_settle(probe, settled) -
                         pf_answer_probe_loss(fresh, settled)) < 1e-6);
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - expected) < 1e-6);
        assert_true(fabs(pf_answer_probe_settle(probe, windows) - expected) < 1e-6);
        assert_true(fabs(pf_answer_probe_loss(probe, windows) - expected) < 1e-6);
        settled[first] = 5;
    }
    pf_answer_probe_free(probe);
    pf_answer_probe_free(fresh);
}

static void the_search_finds_a_set_that_is_enough(void **state) {
    (void)state;
    pf_error error = {""};
    uint32_t limits[MOST_HEADS], windows[MOST_HEADS];
    pf_answer_probe *probe = new_probe(1);
    for (size_t i = 0; i < n_heads; i++) limits[i] = 2;
    double exact = pf_answer_probe_exact_loss(probe), all = pf_answer_probe_loss(probe, limits);
    double gap = fabs(all - exact) / 2;
    pf_recall_heads_options options = {.loss = -10, .most = n_heads};
    pf_recall_heads heads;
    /* never enough: no head leaves, and the loss is the exact one */
    assert_true(pf_recall_heads_choose(probe, n_heads, limits, &options, &heads, &error));
    assert_int_equal(heads.n, n_heads);
    assert_true(fabs(heads.reached - exact) < 1e-5 && fabs(heads.limited - all) < 1e-9);
    pf_recall_heads_free(&heads);
    /* always enough: none is left */
    options.loss = fabs(all - exact) + 1;
    assert_true(pf_recall_heads_choose(probe, n_heads, limits, &options, &heads, &error));
    assert_int_equal(heads.n, 0);
    pf_recall_heads_free(&heads);
    /* between: what is reported is what a probe of the set gives */
    options.loss = all > exact ? gap : -gap;
    assert_true(pf_recall_heads_choose(probe, n_heads, limits, &options, &heads, &error));
    memcpy(windows, limits, sizeof windows);
    for (size_t i = 0; i < heads.n; i++) windows[heads.head[i]] = PF_WINDOW_ALL;
    assert_true(fabs(pf_answer_probe_loss(probe, windows) - heads.reached) < 1e-6);
    pf_recall_heads_free(&heads);
    pf_answer_probe_free(probe);
}

static void bad_texts_are_refused(void **state) {
    (void)state;
    pf_error error = {""};
    pf_recall_text bad = texts[0];
    bad.question = bad.answer;
    assert_null(pf_answer_probe_new(fixture.model, &bad, 1, SINKS, 1, &error));
    assert_non_null(strstr(error.message, "no question"));
    assert_null(pf_answer_probe_new(fixture.model, texts, 0, SINKS, 1, &error));
}

static void memory_may_run_out(void **state) {
    (void)state;
    pf_error error;
    pf_answer_probe *probe = NULL;
    for (long n = 1; !probe && n < 1000; n++) {
        pf_memory_fail_after(n);
        probe = pf_answer_probe_new(fixture.model, texts, TEXTS, SINKS, 1, &error);
        pf_memory_fail_after(0);
    }
    assert_non_null(probe);
    pf_answer_probe_free(probe);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_is_a_session_with_limited_heads),
        cmocka_unit_test(layers_may_slide_or_not_rotate),
        cmocka_unit_test(windows_may_be_settled),
        cmocka_unit_test(the_search_finds_a_set_that_is_enough),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests_name("recall heads", tests, open_fixture, close_fixture);
}
