/* floor 6.1 - test_snapshot: a saved and continued text goes on like one never interrupted. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "load.h"
#include "memory.h"
#include "sampler.h"
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE "tests/fixtures/families/llama.gguf"

enum { N = 60 };

static pf_loaded fixture;
static int32_t ids[N];
static char folder[64], path[96];

static int open_fixture(void **state) {
    (void)state;
    pf_error error = {""};
    if (!pf_loaded_open(FIXTURE, &fixture, &error)) print_message("%s\n", error.message);
    for (int i = 0; i < N; i++) ids[i] = (i * 37 + 5) % (int32_t)fixture.model->n_vocab;
    snprintf(folder, sizeof folder, "/tmp/performer-test-snapshot-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/a.state", folder);
    return fixture.model == NULL;
}

static int close_fixture(void **state) {
    (void)state;
    pf_loaded_close(&fixture);
    unlink(path);
    return rmdir(folder); /* fails if a temporary file is left */
}

/* Every kind of attention state that can be saved. */
typedef struct {
    pf_attention_kind kind;
    pf_map_kind map;
    uint32_t redraw, window, sinks, forget;
    float epsilon;
    pf_kv_kind kv;
} setting;

static const setting settings[] = {
    {PF_ATTENTION_SOFTMAX, PF_MAP_POSITIVE, 0, 0, 0, 0, 0, PF_KV_F32},
    {PF_ATTENTION_LOCAL, PF_MAP_POSITIVE, 0, 8, 1, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 0, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_HYPERBOLIC, 0, 8, 2, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 3, 0, 0.01f, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_TRIG, 7, 5, 1, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_TRIG_OFFSET, 9, 0, 0, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, PF_REDRAW_SEQUENCE, 4, 0, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 0, 16, 0, PF_KV_F32},
    {PF_ATTENTION_SOFTMAX, PF_MAP_POSITIVE, 0, 0, 0, 0, 0, PF_KV_F16},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 7, 2, 0, 0, PF_KV_F16},

    {PF_ATTENTION_LOCAL, PF_MAP_POSITIVE, 0, PF_WINDOW_ALL, 0, 0, 0, PF_KV_F32},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, PF_WINDOW_ALL, 2, 0, 0, PF_KV_F16},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static pf_session_options options_of(const setting *s) {
    pf_session_options options = pf_session_options_default(fixture.model);
    options.context = 128;
    options.n_threads = 1;
    options.chunk = 16;
    options.attention.kind = s->kind;
    options.attention.map = s->map;
    options.attention.redraw = s->redraw;
    options.attention.window = s->window;
    options.attention.sinks = s->sinks;
    options.attention.forget = s->forget;
    options.attention.epsilon = s->epsilon;
    options.attention.kv = s->kv;
    options.attention.features = 16;
    return options;
}

static pf_session *open_session(const setting *s) {
    pf_error error = {""};
    pf_session_options options = options_of(s);
    pf_session *session = pf_session_new(fixture.model, &options, &error);
    if (!session) print_message("%s\n", error.message);
    assert_non_null(session);
    return session;
}

static void append(pf_session *session, const int32_t *tokens, size_t n, float *logits) {
    pf_error error = {""};
    if (!pf_session_append(session, tokens, n, logits, logits ? 1 : 0, &error))
        fail_msg("%s", error.message);
}

static void save(pf_session *session, const pf_continuation *rest) {
    pf_error error = {""};
    if (!pf_session_save(session, rest, path, &error)) fail_msg("%s", error.message);
}

static void load(pf_session *session, pf_continuation *rest) {
    pf_error error = {""};
    if (!pf_session_load(session, path, rest, &error)) fail_msg("%s", error.message);
}

/* Loading must fail with a message that has `part`, and leave the session empty and usable. */
static void assert_refused(pf_session *session, pf_slice bytes, const char *part) {
    pf_error error = {""};
    pf_continuation rest;
    assert_false(pf_session_load_bytes(session, bytes, &rest, &error));
    if (!strstr(error.message, part)) fail_msg("expected \"%s\" in: %s", part, error.message);
    assert_int_equal(pf_session_position(session), 0);
    assert_null(rest.pending);
}

static void a_text_goes_on_as_if_never_cut(void **state) {
    (void)state;
    size_t V = fixture.model->n_vocab;
    float *want = malloc(2 * V * sizeof *want), *got = want + V;
    const size_t cuts[] = {0, 1, 3, 20, 41};
    for (size_t i = 0; i < SETTINGS; i++)
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            pf_session *first = open_session(&settings[i]), *second = open_session(&settings[i]);
            append(second, ids + 3, 33, NULL); /* another text, which loading replaces */
            append(first, ids, cuts[c], NULL);
            save(first, NULL);
            pf_continuation rest;
            load(second, &rest);
            assert_int_equal(pf_session_position(second), cuts[c]);
            for (size_t t = cuts[c]; t < N; t++) {
                append(first, ids + t, 1, want);
                append(second, ids + t, 1, got);
                assert_memory_equal(want, got, V * sizeof *want);
            }
            pf_continuation_free(&rest);
            pf_session_free(first);
            pf_session_free(second);
        }
    free(want);
}

static void the_rest_comes_back(void **state) {
    (void)state;
    size_t V = fixture.model->n_vocab;
    float *logits = malloc(V * sizeof *logits);
    int32_t pending[] = {3, 1, 4, 1, 5};
    pf_continuation rest = {.has_rng = true, .pending = pending, .n_pending = 5, .note = "note"};
    pf_session *session = open_session(&settings[0]);
    append(session, ids, 7, logits);
    rest.logits = logits;
    pf_rng_seed(&rest.rng, 7, 7);
    pf_rng_normal(&rest.rng); /* leaves a spare deviate */
    save(session, &rest);
    pf_continuation back;
    load(session, &back);
    assert_true(back.has_rng);
    for (int i = 0; i < 5; i++)
        assert_true(pf_rng_normal(&rest.rng) == pf_rng_normal(&back.rng)); /* bit for bit */
    assert_int_equal(back.n_pending, 5);
    assert_memory_equal(back.pending, pending, sizeof pending);
    assert_memory_equal(back.logits, logits, V * sizeof *logits);
    assert_memory_equal(back.note, "note\0", 6);
    pf_continuation_free(&back);
    pf_continuation_free(&back); /* twice is allowed */
    pf_session_free(session);
    free(logits);
}

static size_t saved_size(pf_session *session) {
    pf_error error = {""};
    pf_file file;
    save(session, NULL);
    if (!pf_file_open(path, &file, &error)) fail_msg("%s", error.message);
    size_t size = file.bytes.size;
    pf_file_close(&file);
    return size;
}

static void only_what_is_used_is_written(void **state) {
    (void)state;
    pf_session *favor = open_session(&settings[3]), *softmax = open_session(&settings[0]);
    size_t empty_favor = saved_size(favor), empty_softmax = saved_size(softmax);
    assert_true(empty_softmax < 1000);
    for (size_t n = 1; n <= 3; n++) {
        append(favor, ids, 20, NULL);
        append(softmax, ids, 20, NULL);
        assert_int_equal(saved_size(favor), empty_favor);
        size_t kv_bytes = (size_t)fixture.model->n_layers * fixture.model->n_kv_heads *
                          fixture.model->head_dim * 2 * sizeof(float);
        assert_int_equal(saved_size(softmax), empty_softmax + n * 20 * kv_bytes);
    }
    pf_session_free(favor);
    pf_session_free(softmax);
}

/* A saved text in memory, which the caller frees. */
static uint8_t *saved_bytes(const setting *s, pf_slice *bytes) {
    pf_error error = {""};
    int32_t pending[] = {1, 2};
    pf_continuation rest = {.pending = pending, .n_pending = 2};
    pf_session *session = open_session(s);
    append(session, ids, 30, NULL);
    save(session, &rest);
    pf_session_free(session);
    pf_file file;
    if (!pf_file_open(path, &file, &error)) fail_msg("%s", error.message);
    uint8_t *copy = malloc(file.bytes.size);
    memcpy(copy, file.bytes.data, file.bytes.size);
    *bytes = (pf_slice){copy, file.bytes.size};
    pf_file_close(&file);
    return copy;
}

static void damage_is_refused(void **state) {
    (void)state;
    pf_slice bytes;
    uint8_t *writable = saved_bytes(&settings[5], &bytes);
    pf_session *session = open_session(&settings[5]);
    for (size_t i = 0; i < bytes.size; i += i < 300 ? 1 : 97)
        for (int bit = 0; bit < 8; bit += 3) {
            writable[i] ^= (uint8_t)(1 << bit);
            assert_refused(session, bytes, "");
            writable[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t size = 0; size < bytes.size; size += size < 300 ? 1 : 101)
        assert_refused(session, (pf_slice){bytes.data, size}, "");
    pf_continuation rest;
    pf_error error = {""};
    assert_true(pf_session_load_bytes(session, bytes, &rest, &error));
    pf_continuation_free(&rest);
    writable[bytes.size / 2] ^= 4;
    assert_refused(session, bytes, "checksum");
    writable[8] = 9;
    assert_refused(session, bytes, "version 9");
    assert_refused(session, (pf_slice){(const uint8_t *)"GGUF", 4}, "not a saved state");
    pf_session_free(session);
    free(writable);
}

static void another_attention_or_a_shorter_context_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        pf_slice bytes;
        uint8_t *memory = saved_bytes(&settings[i], &bytes);
        for (size_t j = 0; j < SETTINGS; j++) {
            if (i == j) continue;
            pf_session *session = open_session(&settings[j]);
            assert_refused(session, bytes, "attention options");
            pf_session_free(session);
        }
        free(memory);
    }
    pf_slice bytes;
    uint8_t *memory = saved_bytes(&settings[0], &bytes);
    pf_session_options options = options_of(&settings[0]);
    pf_error error = {""};
    options.context = 29;
    pf_session *session = pf_session_new(fixture.model, &options, &error);
    assert_refused(session, bytes, "30 tokens, but the context is 29");
    pf_session_free(session);
    free(memory);
}

static void another_model_is_refused(void **state) {
    (void)state;
    pf_error error = {""};
    pf_slice bytes;
    uint8_t *memory = saved_bytes(&settings[0], &bytes);
    pf_file file;
    pf_loaded other;
    if (!pf_file_open(FIXTURE, &file, &error)) fail_msg("%s", error.message);
    uint8_t *copy = malloc(file.bytes.size);
    memcpy(copy, file.bytes.data, file.bytes.size);
    copy[file.bytes.size - 3] ^= 1; /* one bit of one weight */
    if (!pf_loaded_open_bytes((pf_slice){copy, file.bytes.size}, "other", &other, &error))
        fail_msg("%s", error.message);
    pf_session_options options = options_of(&settings[0]);
    pf_session *session = pf_session_new(other.model, &options, &error);
    assert_refused(session, bytes, "another model");
    pf_session_free(session);
    pf_loaded_close(&other);
    pf_file_close(&file);
    free(copy);
    free(memory);
}

static void every_failing_allocation_is_a_clean_error(void **state) {
    (void)state;
    pf_session *session = open_session(&settings[5]);
    append(session, ids, 40, NULL);
    long n = 1;
    for (bool done = false; !done; n++) {
        pf_error error = {""};
        pf_memory_fail_after(n);
        done = pf_session_save(session, NULL, path, &error);
        pf_memory_fail_after(0);
        assert_true(done || strstr(error.message, "memory"));
    }
    assert_true(n > 3);
    n = 1;
    for (bool done = false; !done; n++) {
        pf_error error = {""};
        pf_continuation rest;
        pf_session *fresh = open_session(&settings[5]);
        pf_memory_fail_after(n);
        done = pf_session_load(fresh, path, &rest, &error);
        pf_memory_fail_after(0);
        assert_true(done || strstr(error.message, "memory"));
        pf_continuation_free(&rest);
        append(fresh, ids, 5, NULL); /* usable either way */
        pf_session_free(fresh);
    }
    assert_true(n > 3);
    pf_session_free(session);
}

static void bad_disks_are_reported(void **state) {
    (void)state;
    pf_session *session = open_session(&settings[0]);
    pf_error error = {""};
    pf_continuation rest;
    append(session, ids, 40, NULL);
    assert_false(pf_session_save(session, NULL, "/nowhere/a.state", &error));
    assert_non_null(strstr(error.message, "/nowhere/a.state"));
    if (access("/dev/full", W_OK) == 0) {
        assert_false(pf_session_save(session, NULL, "/dev/full", &error));
        assert_non_null(strstr(error.message, "No space left"));
    }
    assert_int_equal(pf_session_position(session), 40); /* saving changes nothing */
    assert_false(pf_session_load(session, "/nowhere/a.state", &rest, &error));
    assert_non_null(strstr(error.message, "/nowhere/a.state"));
    pf_session_free(session);
}

static void the_attention_can_be_asked_for(void **state) {
    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        pf_slice bytes;
        free(saved_bytes(&settings[i], &bytes));
        pf_error error = {""};
        pf_attention_options attention;
        assert_true(pf_snapshot_attention(path, &attention, &error));
        assert_int_equal(attention.kind, settings[i].kind);
        assert_int_equal(attention.map, settings[i].map);
        assert_int_equal(attention.redraw, settings[i].redraw);
    }
    pf_error error = {""};
    pf_attention_options attention;
    assert_false(pf_snapshot_attention(FIXTURE, &attention, &error));
    assert_non_null(strstr(error.message, FIXTURE ": this is not a saved state"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_goes_on_as_if_never_cut),
        cmocka_unit_test(the_rest_comes_back),
        cmocka_unit_test(only_what_is_used_is_written),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(another_attention_or_a_shorter_context_is_refused),
        cmocka_unit_test(another_model_is_refused),
        cmocka_unit_test(every_failing_allocation_is_a_clean_error),
        cmocka_unit_test(bad_disks_are_reported),
        cmocka_unit_test(the_attention_can_be_asked_for),
    };
    return cmocka_run_group_tests_name("snapshot", tests, open_fixture, close_fixture);
}
