/* floor 6.2 - test_longrope: a session's context chooses RoPE's short or long factors.
 *
 * That both are those of transformers is in test_hf_families.c. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "exact_targets.h"
#include "load.h"
#include "snapshot.h"
#include "train_weights.h"

#include <math.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE "tests/fixtures/hf_families/phi3-long"

enum { ORIGINAL = 64, TRAINED = 256, N = 60, LONGER = 100, V = 64 };

static pf_loaded fixture;
static int32_t ids[LONGER];

static int open_fixture(void **state) {
    (void)state;
    pf_error error = {""};
    if (!pf_loaded_open(FIXTURE, &fixture, &error)) print_message("%s\n", error.message);
    for (int i = 0; i < LONGER; i++) ids[i] = (i * 37 + 5) % V;
    return fixture.model == NULL;
}

static int close_fixture(void **state) {
    (void)state;
    pf_loaded_close(&fixture);
    return 0;
}

static pf_session *open_session(const pf_model *model, pf_attention_kind kind, size_t context) {
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(model);
    options.attention.kind = kind;
    options.attention.window = 8;
    options.attention.sinks = 2;
    options.context = context;
    pf_session *session = pf_session_new(model, &options, &error);
    if (!session) fail_msg("%s", error.message);
    return session;
}

static void read_text(pf_session *session, size_t from, size_t n, float *logits) {
    pf_error error = {""};
    if (!pf_session_append(session, ids + from, n, logits, 1, &error))
        fail_msg("%s", error.message);
}

/* The logits [V] after N tokens. */
static void run(const pf_model *model, pf_attention_kind kind, size_t context, float *logits) {
    pf_session *session = open_session(model, kind, context);
    read_text(session, 0, N, logits);
    pf_session_free(session);
}

static void sizes(void **state) {
    (void)state;
    const pf_model *m = fixture.model;
    assert_int_equal(m->n_vocab, V);
    assert_int_equal(m->context, ORIGINAL);
    assert_int_equal(m->long_context, TRAINED);
    assert_int_equal(pf_model_trained(m), TRAINED);
    assert_int_equal(pf_session_options_default(m).context, ORIGINAL);
    assert_float_equal(m->rope_factors[2], 1.5f, 0);
    assert_float_equal(m->long_rope_factors[2], 4, 0);
    assert_true(m->rope_scale > 1); /* for short and long texts alike */
    assert_false(pf_model_is_long(m, ORIGINAL));
    assert_true(pf_model_is_long(m, ORIGINAL + 1));
    assert_ptr_equal(pf_model_rotary(m, 0, ORIGINAL).factors, m->rope_factors);
    assert_ptr_equal(pf_model_rotary(m, 0, ORIGINAL + 1).factors, m->long_rope_factors);
    assert_float_equal(pf_model_rotary(m, 0, ORIGINAL).scale, m->rope_scale, 0);
    assert_float_equal(pf_model_rotary(m, 0, ORIGINAL + 1).scale, m->rope_scale, 0);
}

/* ... from the first token on, under every kind of attention. */
static void the_context_chooses_the_factors(void **state) {
    (void)state;
    pf_model shorter = *fixture.model, longer = shorter;
    shorter.long_context = longer.long_context = 0;
    longer.rope_factors = longer.long_rope_factors;
    for (int kind = PF_ATTENTION_SOFTMAX; kind <= PF_ATTENTION_LOCAL; kind++) {
        float want[V], got[V];
        run(&shorter, (pf_attention_kind)kind, ORIGINAL, want);
        run(fixture.model, (pf_attention_kind)kind, ORIGINAL, got);
        assert_memory_equal(got, want, sizeof got);
        run(&longer, (pf_attention_kind)kind, ORIGINAL + 1, want);
        assert_memory_not_equal(got, want, sizeof got);
        run(fixture.model, (pf_attention_kind)kind, ORIGINAL + 1, got);
        assert_memory_equal(got, want, sizeof got);
    }
}

typedef struct kept {
    float rows[LONGER * 32];
    double worst; /* largest difference from them */
} kept;

static void compare_heads(void *context, pf_tap_point point, uint32_t layer, size_t first,
                          const float *rows, size_t n, size_t cols) {
    kept *k = context;
    if (point != PF_TAP_ATTENTION_HEADS || layer != 0) return;
    for (size_t i = 0; i < n * cols; i++)
        k->worst = fmax(k->worst, fabs((double)rows[i] - (double)k->rows[first * cols + i]));
}

/* calibrate rotates by itself, as a session does whose context is the longest text. */
static void calibration_rotates_as_sessions_do(void **state) {
    (void)state;
    for (size_t n = N; n <= LONGER; n += LONGER - N) {
        kept k = {.worst = 0};
        pf_error error = {""};
        pf_text_ids text = {ids, n};
        pf_layerwise *w = pf_layerwise_new(fixture.model, &text, 1, 1, &error);
        assert_non_null(w);
        pf_exact_targets *exact = pf_exact_targets_new(w, 0, NULL, 1, &error);
        assert_non_null(exact);
        assert_int_equal(exact->H * exact->D, 32);
        pf_layerwise_project(w, 0);
        pf_exact_targets_walk(exact);
        memcpy(k.rows, exact->target, n * 32 * sizeof(float));
        pf_exact_targets_free(exact);
        pf_layerwise_free(w);
        pf_session *session = open_session(fixture.model, PF_ATTENTION_SOFTMAX, n);
        pf_session_set_tap(session, compare_heads, &k);
        if (!pf_session_append(session, ids, n, NULL, 0, &error)) fail_msg("%s", error.message);
        pf_session_free(session);
        if (!(k.worst < 1e-4)) fail_msg("%zu tokens: off by %g", n, k.worst);
    }
}

/* Training knows neither two kinds of factors nor a scale of q and k. */
static void training_refuses_it(void **state) {
    (void)state;
    pf_error error = {""};
    pf_model plain = *fixture.model;
    assert_false(pf_train_can(&plain, &error));
    plain.long_context = 0;
    assert_false(pf_train_can(&plain, &error));
    plain.rope_scale = 1;
    assert_true(pf_train_can(&plain, &error));
}

static void check_mixed(const char *path, size_t saved, size_t loaded, const char *reason) {
    pf_error error = {""};
    pf_continuation rest;
    float want[V], got[V];
    pf_session *from = open_session(fixture.model, PF_ATTENTION_SOFTMAX, saved);
    pf_session *to = open_session(fixture.model, PF_ATTENTION_SOFTMAX, loaded);
    read_text(from, 0, N / 2, want);
    assert_true(pf_session_save(from, NULL, path, &error));
    bool good = pf_session_load(to, path, &rest, &error);
    if (reason && (good || !strstr(error.message, reason)))
        fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
    if (!reason) {
        if (!good) fail_msg("%s", error.message);
        pf_continuation_free(&rest);
        read_text(from, N / 2, N / 2, want);
        read_text(to, N / 2, N / 2, got);
        assert_memory_equal(got, want, sizeof got);
    }
    pf_session_free(from);
    pf_session_free(to);
}

/* Keys rotated by one kind of factors are no use to a session with the other. */
static void states_do_not_mix(void **state) {
    (void)state;
    char folder[] = "/tmp/performer-test-longrope-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.state", folder);
    check_mixed(path, ORIGINAL, ORIGINAL - 1, NULL);
    check_mixed(path, TRAINED, ORIGINAL + 1, NULL);
    check_mixed(path, ORIGINAL, TRAINED, "a --context of no more than 64 tokens");
    check_mixed(path, TRAINED, ORIGINAL, "a --context of more than 64 tokens");
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(the_context_chooses_the_factors),
        cmocka_unit_test(calibration_rotates_as_sessions_do),
        cmocka_unit_test(training_refuses_it),
        cmocka_unit_test(states_do_not_mix),
    };
    return cmocka_run_group_tests_name("longrope", tests, open_fixture, close_fixture);
}
