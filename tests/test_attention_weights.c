/* floor 6.1 - tests of attention weights: against a session's own rows, for every attention. */
#include "testing.h"

#include "attention_weights.h"
#include "load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 60, LAYER = 1, KV_HEAD = 1 };

static pf_loaded fixture;
static int32_t ids[N];
static size_t H, G, D, HD, KVD;

/* What passed through layer LAYER. */
static struct { float *q, *k, *v, *heads; } seen;

static int open_fixture(void **state) {
    (void)state;
    pf_error error = {""};
    if (!pf_loaded_open("tests/fixtures/families/llama.gguf", &fixture, &error)) return 1;
    const pf_model *m = fixture.model;
    H = m->n_heads;
    D = m->head_dim;
    G = H / m->n_kv_heads;
    HD = H * D;
    KVD = m->n_kv_heads * D;
    for (int i = 0; i < N; i++) ids[i] = (i * 37 + 5) % (int32_t)m->n_vocab;
    seen.q = malloc(N * HD * sizeof(float));
    seen.k = malloc(N * KVD * sizeof(float));
    seen.v = malloc(N * KVD * sizeof(float));
    seen.heads = malloc(N * HD * sizeof(float));
    return 0;
}

static int close_fixture(void **state) {
    (void)state;
    free(seen.q);
    free(seen.k);
    free(seen.v);
    free(seen.heads);
    pf_loaded_close(&fixture);
    return 0;
}

static void keep(void *context, pf_tap_point point, uint32_t layer, size_t first, const float *rows,
                 size_t n, size_t cols) {
    (void)context;
    float *to = point == PF_TAP_Q                 ? seen.q
                : point == PF_TAP_K               ? seen.k
                : point == PF_TAP_V               ? seen.v
                : point == PF_TAP_ATTENTION_HEADS ? seen.heads
                                                  : NULL;
    if (to && layer == LAYER) memcpy(to + first * cols, rows, n * cols * sizeof *rows);
}

static pf_session *read_text(const pf_session_options *options) {
    pf_error error = {""};
    pf_session *session = pf_session_new(fixture.model, options, &error);
    assert_non_null(session);
    pf_session_set_tap(session, keep, NULL);
    assert_true(pf_session_append(session, ids, N, NULL, 0, &error));
    pf_session_set_tap(session, NULL, NULL);
    return session;
}

static void assert_near(const float *a, const float *b, size_t n, float tolerance) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= tolerance))
            fail_msg("value %zu: %g, expected %g", i, (double)a[i], (double)b[i]);
}

/* heads = weights V, and no token sees a later one. */
static void check_weights(const float *weights) {
    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < N; t++) {
            const float *row = weights + (h * N + t) * N;
            float sum = 0, read[64] = {0};
            for (size_t j = 0; j < N; j++) {
                if (j > t) assert_true(row[j] == 0);
                sum += row[j];
                for (size_t d = 0; d < D; d++) read[d] += row[j] * seen.v[j * KVD + h / G * D + d];
            }
            assert_near(&sum, &(float){1}, 1, 1e-4f);
            assert_near(read, seen.heads + t * HD + h * D, D, 1e-3f);
        }
}

static void check_options(const pf_session_options *options) {
    pf_error error = {""};
    pf_session *session = read_text(options);
    float *out = malloc(N * HD * sizeof *out), *weights = malloc(H * N * N * sizeof *weights);
    /* twice: the first replay must not affect the second */
    for (int i = 0; i < 2; i++) {
        assert_true(pf_attention_replay(session, LAYER, seen.q, seen.k, seen.v, N, out, &error));
        assert_near(out, seen.heads, N * HD, 1e-5f);
    }
    assert_true(pf_attention_weights(session, LAYER, seen.q, seen.k, N, weights, &error));
    check_weights(weights);
    assert_int_equal(pf_session_position(session), 0);
    free(out);
    free(weights);
    pf_session_free(session);
}

static pf_session_options options_of(pf_attention_kind kind) {
    pf_session_options options = pf_session_options_default(fixture.model);
    options.attention.kind = kind;
    options.attention.features = 32;
    options.context = N;
    options.n_threads = 2;
    return options;
}

static void every_kind(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (uint32_t window = kind == PF_ATTENTION_LOCAL ? 8 : 0; window < 16; window += 8) {
            pf_session_options options = options_of((pf_attention_kind)kind);
            options.attention.window = window;
            options.attention.sinks = window ? 1 : 0;
            check_options(&options);
            options.chunk = 7;
            check_options(&options);
        }
}

/* The features are those that the text began with, even if it redrew them since. */
static void redraws(void **state) {
    (void)state;
    const uint32_t when[] = {PF_REDRAW_SEQUENCE, 10};
    for (int i = 0; i < 2; i++) {
        pf_session_options options = options_of(PF_ATTENTION_FAVOR);
        options.attention.redraw = when[i];
        check_options(&options);
    }
}

/* What an observer saw: at each token S / z of the tail, as phi reads it, and the newest key. */
typedef struct observed {
    size_t calls;
    float rows[N][64]; /* phi(q) S / phi(q) z of query head 0 of the KV head */
    const float *q;
} observed;

static void look(void *context, size_t position, const pf_head_view *view) {
    observed *o = context;
    const pf_features *f = &view->head->features.q[0];
    const pf_favor_state *tail = &view->head->tails[0];
    float q[64], phi[64], scale, den = 0, *scratch = malloc(pf_features_scratch(D, 64, 1) * 4);
    assert_int_equal(position, o->calls++);
    assert_true(view->head->tails && tail->M == 32 && *tail->running_max > -INFINITY);
    memcpy(q, o->q + position * HD + KV_HEAD * G * D, D * sizeof *q);
    pf_head_rotate(view->config, position, q, false);
    pf_features_apply(f, q, D, 1, phi, &scale, scratch);
    memset(o->rows[position], 0, sizeof o->rows[position]);
    for (size_t m = 0; m < tail->M; m++) {
        den += phi[m] * tail->z[m];
        for (size_t d = 0; d < D; d++) o->rows[position][d] += phi[m] * tail->S[m * D + d];
    }
    for (size_t d = 0; d < D; d++) o->rows[position][d] /= den;
    free(scratch);
}

/* An observer sees the sums that the session's own rows are computed from. */
static void observers(void **state) {
    (void)state;
    pf_session_options options = options_of(PF_ATTENTION_FAVOR);
    pf_session *session = read_text(&options);
    pf_error error = {""};
    float *out = malloc(N * HD * sizeof *out);
    observed *o = calloc(1, sizeof *o);
    o->q = seen.q;
    assert_true(pf_attention_observe(session, LAYER, KV_HEAD, seen.q, seen.k, seen.v, N, out, look,
                                     o, &error));
    assert_int_equal(o->calls, N);
    assert_near(out, seen.heads, N * HD, 1e-4f);
    for (size_t t = 0; t < N; t++)
        assert_near(o->rows[t], seen.heads + t * HD + KV_HEAD * G * D, D, 1e-3f);
    assert_false(
        pf_attention_observe(session, LAYER, 99, seen.q, seen.k, seen.v, N, out, look, o, &error));
    free(o);
    free(out);
    pf_session_free(session);
}

/* With an epsilon so large that all features vanish beside it, every token gets the same weight:
 * the output is the mean of the values, which `compare` measures as a baseline. */
static void huge_epsilon_is_the_mean(void **state) {
    (void)state;
    pf_error error = {""};
    pf_session_options options = options_of(PF_ATTENTION_FAVOR);
    options.attention.epsilon = 1e6f;
    options.attention.features = 1;
    pf_session *session = read_text(&options);
    float *weights = malloc(H * N * N * sizeof *weights);
    assert_true(pf_attention_weights(session, LAYER, seen.q, seen.k, N, weights, &error));
    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < N; t++)
            for (size_t j = 0; j <= t; j++)
                assert_near(&weights[(h * N + t) * N + j], &(float){1 / (float)(t + 1)}, 1, 1e-5f);
    free(weights);
    pf_session_free(session);
}

static void refusals(void **state) {
    (void)state;
    pf_session_options options = options_of(PF_ATTENTION_SOFTMAX);
    options.context = N - 1;
    pf_error error = {""};
    pf_session *session = pf_session_new(fixture.model, &options, &error);
    float *out = malloc(N * HD * sizeof *out);
    assert_false(pf_attention_replay(session, LAYER, seen.q, seen.k, seen.v, N, out, &error));
    assert_non_null(strstr(error.message, "context"));
    assert_false(pf_attention_replay(session, 99, seen.q, seen.k, seen.v, 1, out, &error));
    free(out);
    pf_session_free(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind), cmocka_unit_test(redraws),
        cmocka_unit_test(observers),  cmocka_unit_test(huge_epsilon_is_the_mean),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
