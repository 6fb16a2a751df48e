/* floor 6.1 - tests of sessions: goldens, chunks and threads, logits wanted, clones, limits. */
#include "testing.h"

#include "load.h"
#include "memory.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE "tests/fixtures/families/llama.gguf"

enum { N = 60 };

static pf_loaded fixture;
static int32_t ids[N];

static int open_fixture(void **state) {
    (void)state;
    pf_error error = {""};
    if (!pf_loaded_open(FIXTURE, &fixture, &error)) print_message("%s\n", error.message);
    for (int i = 0; i < N; i++) ids[i] = (i * 37 + 5) % (int32_t)fixture.model->n_vocab;
    return fixture.model == NULL;
}

static int close_fixture(void **state) {
    (void)state;
    pf_loaded_close(&fixture);
    return 0;
}

static pf_session_options options_of(const pf_model *model) {
    pf_session_options options = pf_session_options_default(model);
    options.context = 512;
    options.n_threads = 1;
    options.team_work = 0;
    options.float_activations = true;
    options.attention.window = 8;
    options.attention.sinks = 1;
    options.attention.features = 32;
    return options;
}

static pf_session *open_session(const pf_session_options *options) {
    pf_error error = {""};
    pf_session *session = pf_session_new(fixture.model, options, &error);
    if (!session) print_message("%s\n", error.message);
    assert_non_null(session);
    return session;
}

static float *run(const pf_session_options *options, const int32_t *tokens, size_t n,
                  size_t n_logits) {
    pf_session *session = open_session(options);
    float *logits = malloc(n_logits * fixture.model->n_vocab * sizeof *logits);
    pf_error error = {""};
    assert_true(pf_session_append(session, tokens, n, logits, n_logits, &error));
    pf_session_free(session);
    return logits;
}

static float largest_difference(const float *a, const float *b, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= largest)) largest = fabsf(a[i] - b[i]);
    return largest;
}

static void chunks_and_threads_agree(void **state) {
    (void)state;
    size_t values = N * fixture.model->n_vocab;
    for (int kind = 0; kind < 3; kind++) {
        pf_session_options options = options_of(fixture.model);
        options.attention.kind = (pf_attention_kind)kind;
        options.chunk = 1;
        float *want = run(&options, ids, N, N);
        const size_t chunks[] = {1, 7, 64, 1000};
        for (size_t c = 0; c < 4; c++) {
            options.chunk = chunks[c];
            float *one = run(&options, ids, N, N);
            options.n_threads = 2;
            float *two = run(&options, ids, N, N);
            options.n_threads = 1;
            assert_true(largest_difference(one, want, values) < 1e-4f);
            assert_true(largest_difference(one, two, values) < 1e-5f);
            free(one);
            free(two);
        }
        free(want);
    }
}

static void only_the_wanted_logits_are_written(void **state) {
    (void)state;
    size_t V = fixture.model->n_vocab;
    pf_session_options options = options_of(fixture.model);
    options.chunk = 16;
    float *all = run(&options, ids, N, N);
    const size_t wanted[] = {0, 1, 15, 16, 17, 40, N};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        float *some = run(&options, ids, N, wanted[i]);
        assert_true(largest_difference(some, all + (N - wanted[i]) * V, wanted[i] * V) < 1e-5f);
        free(some);
    }
    free(all);
}

static void a_clone_and_a_reset_session_tell_the_same(void **state) {
    (void)state;
    size_t V = fixture.model->n_vocab;
    for (int kind = 0; kind < 3; kind++) {
        pf_session_options options = options_of(fixture.model);
        options.attention.kind = (pf_attention_kind)kind;
        options.attention.redraw = kind == 1 ? 9 : 0;
        pf_error error = {""};
        pf_session *session = open_session(&options);
        float *first = malloc(3 * V * sizeof *first), *second = first + V, *third = second + V;
        assert_true(pf_session_append(session, ids, 40, NULL, 0, &error));
        pf_session *clone = pf_session_clone(session, &error);
        assert_non_null(clone);
        assert_true(pf_session_append(session, ids + 40, 20, first, 1, &error));
        assert_true(pf_session_append(clone, ids, 5, NULL, 0, &error)); /* another branch */
        pf_session_free(clone);
        clone = pf_session_clone(session, &error);
        pf_session_reset(session);
        assert_int_equal(pf_session_position(session), 0);
        if (kind != 1) { /* redraws continue their own sequence of draws */
            assert_true(pf_session_append(session, ids, N, second, 1, &error));
            assert_true(largest_difference(first, second, V) < 1e-5f);
        }
        assert_true(pf_session_append(clone, ids, 1, second, 1, &error));
        pf_session_free(session);
        session = open_session(&options);
        assert_true(pf_session_append(session, ids, N, NULL, 0, &error));
        assert_true(pf_session_append(session, ids, 1, third, 1, &error));
        assert_true(largest_difference(second, third, V) < 1e-5f);
        pf_session_free(session);
        pf_session_free(clone);
        free(first);
    }
}

static void bad_calls_change_nothing(void **state) {
    (void)state;
    pf_session_options options = options_of(fixture.model);
    options.context = 10;
    pf_session *session = open_session(&options);
    pf_error error = {""};
    const int32_t outside[] = {1, (int32_t)fixture.model->n_vocab}, negative[] = {-1};
    assert_false(pf_session_append(session, outside, 2, NULL, 0, &error));
    assert_non_null(strstr(error.message, "vocabulary"));
    assert_false(pf_session_append(session, negative, 1, NULL, 0, &error));
    assert_false(pf_session_append(session, ids, 11, NULL, 0, &error));
    assert_non_null(strstr(error.message, "--context"));
    assert_int_equal(pf_session_position(session), 0);
    assert_true(pf_session_append(session, ids, 10, NULL, 0, &error));
    assert_int_equal(pf_session_room(session), 0);
    assert_false(pf_session_append(session, ids, 1, NULL, 0, &error));
    pf_session_free(session);

    options.attention.kind = PF_ATTENTION_FAVOR; /* no limit */
    session = open_session(&options);
    assert_true(pf_session_room(session) == SIZE_MAX);
    assert_true(pf_session_append(session, ids, N, NULL, 0, &error));
    pf_session_free(session);
    options.n_threads = 0;
    assert_null(pf_session_new(fixture.model, &options, &error));
    assert_non_null(strstr(error.message, "--threads"));
}

static void the_token_loop_allocates_nothing(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        pf_session_options options = options_of(fixture.model);
        options.attention.kind = (pf_attention_kind)kind;
        options.n_threads = 2;
        pf_session *session = open_session(&options);
        float *logits = malloc(fixture.model->n_vocab * sizeof *logits);
        pf_memory_fail_after(1);
        for (int i = 0; i < N; i++)
            assert_true(pf_session_append(session, &ids[i], 1, logits, 1, NULL));
        pf_memory_fail_after(0);
        pf_session_free(session);
        free(logits);
    }
}

static void every_failing_allocation_is_a_clean_error(void **state) {
    (void)state;
    pf_session_options options = options_of(fixture.model);
    options.attention.kind = PF_ATTENTION_FAVOR;
    options.attention.redraw = 20;
    for (long n = 1;; n++) {
        pf_error error = {""};
        pf_memory_fail_after(n);
        pf_session *session = pf_session_new(fixture.model, &options, &error);
        bool done = session && pf_session_append(session, ids, N, NULL, 0, &error);
        pf_memory_fail_after(0);
        pf_session_free(session);
        if (done) break;
        assert_true(error.message[0] != '\0');
        assert_true(n < 1000);
    }
}

/* A redraw in mid-text needs memory as the text grows. If it runs out, what was read stays read. */
static void memory_that_runs_out_in_a_text_leaves_whole_chunks(void **state) {
    (void)state;
    enum { CHUNK = 8, LONG = 600 };
    int32_t text[LONG];
    for (int i = 0; i < LONG; i++) text[i] = ids[i % N];
    pf_session_options options = options_of(fixture.model);
    options.attention.kind = PF_ATTENTION_FAVOR;
    options.attention.redraw = 200;
    options.chunk = CHUNK;
    size_t V = fixture.model->n_vocab, stopped = 0;
    float *want = run(&options, text, LONG, 1), *logits = malloc(V * sizeof *logits);
    assert_non_null(logits);
    bool done = false;
    for (long n = 1; !done; n++) {
        pf_error error = {""};
        pf_session *session = open_session(&options);
        pf_memory_fail_after(n);
        done = pf_session_append(session, text, LONG, logits, 1, &error);
        pf_memory_fail_after(0);
        size_t read = pf_session_position(session);
        assert_true(done ? read == LONG : read % CHUNK == 0);
        if (!done) assert_non_null(strstr(error.message, "not enough memory"));
        if (!done && read > 0) stopped++;
        assert_true(
            pf_session_append(session, text + read, LONG - read, logits, LONG > read, &error));
        assert_true(largest_difference(logits, want, V) == 0);
        pf_session_free(session);
    }
    assert_true(stopped > 1);
    free(want);
    free(logits);
}

static void planned_state_is_what_is_allocated(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        pf_session_options options = options_of(fixture.model);
        options.attention.kind = (pf_attention_kind)kind;
        pf_session *session = open_session(&options);
        assert_int_equal(pf_session_state_bytes(session), pf_state_bytes(fixture.model, &options));
        pf_session_free(session);
    }
}

static void count_tap(void *context, pf_tap_point point, uint32_t layer, size_t first_position,
                      const float *rows, size_t n_rows, size_t n_cols) {
    size_t *seen = context;
    (void)layer;
    assert_non_null(rows);
    assert_true(n_cols > 0);
    if (point == PF_TAP_LAYER) seen[0] += n_rows, seen[1] = first_position;
}

static void a_tap_sees_every_layer(void **state) {
    (void)state;
    pf_session_options options = options_of(fixture.model);
    options.n_threads = 2;
    options.chunk = 32;
    pf_session *session = open_session(&options);
    size_t seen[2] = {0};
    pf_session_set_tap(session, count_tap, seen);
    assert_true(pf_session_append(session, ids, N, NULL, 0, NULL));
    assert_int_equal(seen[0], N * fixture.model->n_layers);
    assert_int_equal(seen[1], 32);
    pf_session_free(session);
}

/* ids, one a line, and the logits after each -> the largest difference of ours */
static float golden_difference(const char *model_path, const char *ids_path,
                               const char *logits_path) {
    need_file(model_path);
    pf_error error = {""};
    pf_loaded loaded;
    if (!pf_loaded_open(model_path, &loaded, &error)) print_message("%s\n", error.message);
    assert_non_null(loaded.model);
    int32_t tokens[512];
    size_t n = 0, V = loaded.model->n_vocab;
    FILE *file = fopen(ids_path, "r");
    assert_non_null(file);
    while (n < 512 && fscanf(file, "%d", &tokens[n]) == 1) n++;
    fclose(file);
    float *want = malloc(2 * n * V * sizeof *want), *got = want + n * V;
    file = fopen(logits_path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(want, V * sizeof *want, n, file), n);
    fclose(file);
    pf_session_options options = pf_session_options_default(loaded.model);
    options.context = n;
    options.float_activations = true;
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    assert_true(pf_session_append(session, tokens, n, got, n, &error));
    float difference = largest_difference(got, want, n * V);
    pf_session_free(session);
    pf_loaded_close(&loaded);
    free(want);
    return difference;
}

static void golden_logits_of_stories260K(void **state) {
    (void)state;
#define STORIES "../shared/data/models/stories260K/"
    assert_true(golden_difference(STORIES "stories260Ktok512.gguf",
                                  STORIES "golden_logits_tokens.txt",
                                  STORIES "golden_logits_64x512.f32") < 1e-3f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_and_threads_agree),
        cmocka_unit_test(only_the_wanted_logits_are_written),
        cmocka_unit_test(a_clone_and_a_reset_session_tell_the_same),
        cmocka_unit_test(bad_calls_change_nothing),
        cmocka_unit_test(the_token_loop_allocates_nothing),
        cmocka_unit_test(every_failing_allocation_is_a_clean_error),
        cmocka_unit_test(memory_that_runs_out_in_a_text_leaves_whole_chunks),
        cmocka_unit_test(planned_state_is_what_is_allocated),
        cmocka_unit_test(a_tap_sees_every_layer),
        cmocka_unit_test(golden_logits_of_stories260K),
    };
    return cmocka_run_group_tests_name("session", tests, open_fixture, close_fixture);
}
