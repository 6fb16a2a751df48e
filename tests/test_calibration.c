/* floor 6.1 - tests of calibration: sums, gradients, the fit against the engine, files. */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include "calibration_write.h"
#include "gguf_write.h"
#include "head_sensitivity.h"
#include "load.h"
#include "memory.h"
#include "rng.h"
#include "tail_sweep.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE "tests/fixtures/families/llama.gguf"

enum { T = 60, TEXTS = 3 };

static pf_loaded fixture;
static int32_t ids[TEXTS][T];
static pf_text_ids texts[TEXTS];

static int open_fixture(void **state) {
    (void)state;
    pf_error error = {""};
    pf_rng rng;
    pf_rng_seed(&rng, 5, 0);
    if (!pf_loaded_open(FIXTURE, &fixture, &error)) print_message("%s\n", error.message);
    if (!fixture.model) return 1;
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = (pf_text_ids){ids[i], T - 7 * (size_t)i};
        for (int t = 0; t < T; t++)
            ids[i][t] = (int32_t)(pf_rng_uniform(&rng) * (double)fixture.model->n_vocab);
    }
    return 0;
}

static int close_fixture(void **state) {
    (void)state;
    pf_loaded_close(&fixture);
    return 0;
}

/* ---- sums ---- */

static void sums_are_those_of_the_definition(void **state) {
    (void)state;
    enum { M = 5, D = 3, G = 2, KEYS = 150, ROWS = 6, FIRST = 2 };
    static float f_k[KEYS * M], V[KEYS * (D + 1)], f_q[ROWS * G * M], N[ROWS * G * (D + 1)];
    const size_t limit[ROWS] = {0, 2, 3, 66, 67, 149};
    pf_rng rng;
    pf_rng_seed(&rng, 1, 0);
    for (int i = 0; i < KEYS * M; i++) f_k[i] = (float)pf_rng_uniform(&rng);
    for (int i = 0; i < KEYS * (D + 1); i++) V[i] = (float)pf_rng_normal(&rng);
    for (int i = 0; i < ROWS * G * M; i++) f_q[i] = (float)pf_rng_uniform(&rng);
    float *S = calloc(pf_tail_sweep_sums(KEYS, M, D), sizeof *S);
    float *scratch = calloc(pf_tail_sweep_scratch(G, M, D), sizeof *scratch);
    pf_tail_sweep sweep = {M, D, G, f_k, V, FIRST, KEYS, ROWS, limit, f_q};
    pf_tail_sweep_forward(&sweep, N, S, scratch);
    for (size_t r = 0; r < ROWS * G; r++)
        for (size_t d = 0; d <= D; d++) {
            double sum = 0;
            for (size_t j = FIRST; j < limit[r / G]; j++)
                for (size_t m = 0; m < M; m++)
                    sum += (double)f_q[r * M + m] * (double)f_k[j * M + m] *
                           (double)V[j * (D + 1) + d];
            assert_true(fabs((double)N[r * (D + 1) + d] - sum) < 1e-3);
        }
    free(S);
    free(scratch);
}

/* ---- one layer ---- */

enum { FORGET = 15 };

typedef struct layer {
    pf_layerwise *w;
    pf_exact_targets *exact;
    pf_feature_fit *fit;
} layer;

/* Layer 0 of the fixture, ready to fit: 2 sinks, KV heads with windows 4 and 7, M features. */
static layer open_layer(const size_t M[2], int threads) {
    static const size_t windows[] = {2, 4, 9};
    pf_error error = {""};
    layer l;
    pf_measured_rows measure = {3, windows, TEXTS, 20};
    pf_fit_options options = pf_fit_options_default();
    options.rows = 24;
    options.forget = FORGET;
    options.n_threads = threads;
    l.w = pf_layerwise_new(fixture.model, texts, TEXTS, threads, &error);
    assert_non_null(l.w);
    l.exact = pf_exact_targets_new(l.w, 2, &measure, threads, &error);
    l.fit = pf_feature_fit_new(l.exact, 8, &options, &error);
    assert_true(l.exact && l.fit);
    pf_layerwise_project(l.w, 0);
    l.exact->windows[0] = 4;
    l.exact->windows[1] = 7;
    pf_exact_targets_walk(l.exact);
    assert_true(pf_feature_fit_begin(l.fit, 0, M, &error));
    return l;
}

static void close_layer(layer l) {
    pf_feature_fit_free(l.fit);
    pf_exact_targets_free(l.exact);
    pf_layerwise_free(l.w);
}

static void gradients_agree_with_finite_differences(void **state) {
    (void)state;
    const size_t M[2] = {5, 8};
    layer l = open_layer(M, 1);
    pf_feature_fit_run(l.fit, 30); /* until the heads of a group differ */
    for (size_t k = 0; k < 2; k++) {
        size_t n;
        float *p = pf_feature_fit_parameters(l.fit, k, &n);
        float *gradient = calloc(n, sizeof *gradient);
        double largest = 0;
        pf_feature_fit_loss(l.fit, k, gradient);
        for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)gradient[i]));
        assert_true(largest > 1e-4);
        for (size_t i = 0; i < n; i++) {
            const float was = p[i], step = 0.02f;
            p[i] = was + step;
            double above = pf_feature_fit_loss(l.fit, k, NULL);
            p[i] = was - step;
            double below = pf_feature_fit_loss(l.fit, k, NULL);
            p[i] = was;
            double difference = (above - below) / (2 * (double)step);
            if (fabs(difference - (double)gradient[i]) > 0.01 * largest)
                fail_msg("KV head %zu, parameter %zu of %zu: %g, but by differences %g", k, i, n,
                         (double)gradient[i], difference);
        }
        free(gradient);
    }
    close_layer(l);
}

static void a_fit_lowers_the_error(void **state) {
    (void)state;
    const size_t M[2] = {8, 8};
    layer l = open_layer(M, 2);
    size_t floats = l.w->n_rows * l.exact->H * l.exact->D;
    float *out = calloc(floats, sizeof *out);
    double window = pf_feature_fit_apply(l.fit, false, out), errors[2][2 * 3];
    double start = pf_feature_fit_apply(l.fit, true, out);
    pf_feature_fit_measure(l.fit, false, errors[0]);
    pf_feature_fit_run(l.fit, 200);
    double fitted = pf_feature_fit_apply(l.fit, true, out);
    pf_feature_fit_measure(l.fit, true, errors[1]);
    assert_true(fitted < 0.5 * start && fitted < 0.5 * window);
    for (int i = 0; i < 2; i++) { /* without tails a larger window is better */
        assert_true(errors[0][3 * i] > errors[0][3 * i + 1]);
        assert_true(errors[0][3 * i + 1] > errors[0][3 * i + 2]);
        assert_true(errors[1][3 * i + 1] < errors[0][3 * i + 1]);
    }
    free(out);
    close_layer(l);
}

typedef struct watch {
    const float *want; /* [T, H D] */
    float difference;
} watch;

static void compare_heads(void *context, pf_tap_point point, uint32_t index, size_t first,
                          const float *rows, size_t n_rows, size_t n_cols) {
    watch *w = context;
    if (point != PF_TAP_ATTENTION_HEADS || index != 0) return;
    for (size_t i = 0; i < n_rows * n_cols; i++)
        w->difference = fmaxf(w->difference, fabsf(rows[i] - w->want[first * n_cols + i]));
}

/* With the stored tensors the engine computes what the fit did, in a prefill and token by token. */
static void the_engine_runs_what_was_fitted(void **state) {
    (void)state;
    for (size_t least = 0; least < 2; least++) {
        const size_t M[2] = {least == 0 ? 0 : 3, 8}; /* one head with a window only */
        layer l = open_layer(M, 1);
        size_t H = l.exact->H, KV = l.exact->KV, D = l.exact->D, rows = 8 + 1;
        float *out = calloc(l.w->n_rows * H * D, sizeof *out);
        float *q = calloc((H + KV) * rows * (D + 1), sizeof *q);
        float *q_bias = q + H * rows * D, *k = q_bias + H * rows, *k_bias = k + KV * rows * D;
        pf_feature_fit_run(l.fit, 60);
        pf_feature_fit_apply(l.fit, true, out);
        pf_feature_fit_store(l.fit, 8, q, q_bias, k, k_bias);

        pf_model model = *fixture.model;
        pf_layer layers[2] = {fixture.model->layers[0], fixture.model->layers[1]};
        uint32_t windows[] = {4, 7, 4, 7}, features[] = {(uint32_t)M[0], 8, (uint32_t)M[0], 8};
        for (int i = 0; i < 2; i++)
            layers[i].favor = (pf_favor_weights){.q_weight = q,
                                                 .q_bias = q_bias,
                                                 .k_weight = k,
                                                 .k_bias = k_bias,
                                                 .fitted_features = 8};
        model.layers = layers;
        model.windows = windows;
        model.head_features = features;
        model.tail_rope = false;
        model.attention.kind = PF_ATTENTION_FAVOR;
        model.attention.map = PF_MAP_NORMALIZED;
        model.attention.sinks = 2;
        model.attention.forget = FORGET;
        for (size_t chunk = 1; chunk <= T; chunk += T - 1) {
            pf_session_options options = pf_session_options_default(&model);
            options.chunk = chunk;
            options.float_activations = true;
            pf_session *session = pf_session_new(&model, &options, NULL);
            assert_non_null(session);
            watch w = {out, 0};
            pf_session_set_tap(session, compare_heads, &w);
            assert_true(pf_session_append(session, ids[0], T, NULL, 0, NULL));
            if (!(w.difference < 2e-4f)) fail_msg("largest difference %g", (double)w.difference);
            pf_session_free(session);
        }
        free(out);
        free(q);
        close_layer(l);
    }
}

/* ---- which heads matter ---- */

static double mean_divergence(const float *p, const float *q, size_t rows, size_t V) {
    double sum = 0;
    for (size_t r = 3; r < rows; r += 4) { /* the rows that a probe compares */
        double sum_p = exp((double)p[r * V]), sum_q = exp((double)q[r * V]), mean = 0;
        for (size_t i = 1; i < V; i++) sum_p += exp((double)p[r * V + i]);
        for (size_t i = 1; i < V; i++) sum_q += exp((double)q[r * V + i]);
        for (size_t i = 0; i < V; i++)
            mean +=
                exp((double)p[r * V + i]) / sum_p * ((double)p[r * V + i] - (double)q[r * V + i]);
        sum += mean - log(sum_p) + log(sum_q);
    }
    return sum / (double)(rows / 4);
}

/* A probe measures what `local` attention gives in a session where one head has a small window and
 * the windows of the others hold the whole text. */
static void a_probe_is_one_head_without_its_tail(void **state) {
    (void)state;
    uint32_t windows[] = {4, 5, T, 3};
    double probed[4];
    pf_sensitivity_options options = {.sinks = 1, .windows = windows, .n_threads = 2};
    assert_true(pf_head_sensitivity(fixture.model, texts, 1, &options, probed, NULL));
    size_t V = fixture.model->n_vocab;
    float *exact = calloc(2 * T * V, sizeof *exact), *local = exact + T * V;
    for (size_t head = 0; head < 4; head++) {
        uint32_t own[] = {T, T, T, T};
        own[head] = windows[head];
        pf_model model = *fixture.model;
        model.windows = own;
        for (int kind = 0; kind < 2; kind++) {
            pf_session_options run = pf_session_options_default(&model);
            run.attention.kind = kind == 0 ? PF_ATTENTION_SOFTMAX : PF_ATTENTION_LOCAL;
            run.attention.sinks = 1;
            pf_session *session = pf_session_new(&model, &run, NULL);
            assert_non_null(session);
            float *logits = kind == 0 ? exact : local;
            assert_true(pf_session_append(session, ids[0], T, logits, T, NULL));
            pf_session_free(session);
        }
        double want = mean_divergence(exact, local, T, V);
        assert_true(fabs(probed[head] - want) < 1e-3 * want + 1e-6);
        if (head != 2) assert_true(want > 1e-5);
    }
    free(exact);
}

/* ---- whole calibrations ---- */

static pf_calibration_options few_steps(void) {
    pf_calibration_options options = pf_calibration_options_default();
    options.window = 6;
    options.features = 8;
    options.sinks = 1;
    options.steps.steps = 25;
    options.steps.n_threads = 2;
    return options;
}

static pf_calibration *calibrate(const pf_calibration_options *options) {
    pf_error error = {""};
    pf_calibration *c = pf_calibrate(fixture.model, texts, TEXTS, options, &error);
    if (!c) fail_msg("%s", error.message);
    return c;
}

static void a_seed_gives_the_same_again(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    pf_calibration *a = calibrate(&options), *b = calibrate(&options);
    size_t heads = (size_t)a->n_layers * a->n_kv_heads;
    assert_memory_equal(a->windows, b->windows, heads * sizeof *a->windows);
    assert_memory_equal(a->head_features, b->head_features, heads * sizeof *a->head_features);
    for (uint32_t i = 0; i < a->n_layers; i++) {
        size_t rows = a->layers[i].favor.fitted_features + 1;
        if (rows == 1) continue;
        assert_memory_equal(a->layers[i].favor.q_weight, b->layers[i].favor.q_weight,
                            rows * fixture.model->n_heads * fixture.model->head_dim *
                                sizeof(float));
    }
    pf_calibration_free(a);
    pf_calibration_free(b);
}

static bool never(void *context, double done) {
    (void)context;
    return done < 0.3;
}

static void it_can_be_interrupted(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    pf_error error = {""};
    options.progress = never;
    assert_null(pf_calibrate(fixture.model, texts, TEXTS, &options, &error));
    assert_string_equal(error.message, "interrupted");
}

static bool stop_after(void *context) {
    long *left = context;
    return --*left < 0;
}

/* Between any two steps and layers of the survey, the trial and the fit. */
static void it_stops_wherever_it_is_asked_to(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    long left = LONG_MAX, most = LONG_MAX;
    options.steps.steps = 4;
    options.steps.warm_up = 1;
    options.steps.stop = stop_after;
    options.steps.context = &left;
    pf_calibration_free(calibrate(&options));
    most -= left; /* how often it is called */
    assert_true(most > 20);
    for (long n = 0; n < most; n += 1 + n / 4) {
        pf_error error = {""};
        left = n;
        assert_null(pf_calibrate(fixture.model, texts, TEXTS, &options, &error));
        assert_string_equal(error.message, "interrupted");
    }
}

static void every_failing_allocation_is_a_clean_error(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    for (long n = 1;; n++) {
        pf_error error = {""};
        pf_memory_fail_after(n);
        pf_calibration *c = pf_calibrate(fixture.model, texts, TEXTS, &options, &error);
        pf_memory_fail_after(0);
        pf_calibration_free(c);
        if (c) break;
        assert_non_null(strstr(error.message, "memory"));
        assert_true(n < 2000);
    }
}

/* Writes c to a file of its own and opens it. */
static pf_loaded round_trip(const pf_calibration *c, char *path) {
    pf_error error = {""};
    pf_gguf_options as_it_is = {0};
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    pf_checkpoint *out = pf_calibration_to_checkpoint(c, fixture.model, fixture.checkpoint, &error);
    assert_non_null(out);
    assert_true(pf_gguf_write(out, path, &as_it_is, &error));
    pf_checkpoint_free(out);
    pf_loaded loaded;
    if (!pf_loaded_open(path, &loaded, &error)) fail_msg("%s", error.message);
    return loaded;
}

/* As the session itself counts its state. */
static void a_budget_is_kept(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    for (options.state_bytes = 5000; options.state_bytes < 9000; options.state_bytes += 1999) {
        pf_calibration *c = calibrate(&options);
        char path[] = "/tmp/test_calibration.XXXXXX";
        pf_loaded written = round_trip(c, path);
        pf_session_options run = pf_session_options_default(written.model);
        size_t bytes = pf_state_bytes(written.model, &run);
        assert_true(bytes <= options.state_bytes);
        assert_true(bytes > options.state_bytes * 9 / 10);
        pf_loaded_close(&written);
        unlink(path);
        pf_calibration_free(c);
    }
    pf_error error = {""};
    options.state_bytes = 100;
    assert_null(pf_calibrate(fixture.model, texts, TEXTS, &options, &error));
    assert_non_null(strstr(error.message, "too small"));
}

/* Windows alone, and windows with the same tail in all heads, use up the same budget. */
static void a_budget_can_leave_the_tails_alone(void **state) {
    (void)state;
    for (size_t features = 0; features <= 5; features += 5) {
        pf_calibration_options options = few_steps();
        options.state_bytes = 7000;
        options.features = features;
        options.same_features = true;
        pf_calibration *c = calibrate(&options);
        char path[] = "/tmp/test_calibration.XXXXXX";
        pf_loaded written = round_trip(c, path);
        const pf_model *model = written.model;
        pf_session_options run = pf_session_options_default(model);
        size_t bytes = pf_state_bytes(model, &run), heads = model->n_layers * model->n_kv_heads;
        bool differ = false;
        assert_true(bytes <= options.state_bytes && bytes > options.state_bytes * 9 / 10);
        assert_int_equal(model->attention.kind,
                         features > 0 ? PF_ATTENTION_FAVOR : PF_ATTENTION_LOCAL);
        assert_int_equal(model->head_features != NULL, features > 0);
        for (size_t i = 0; i < heads; i++) {
            if (features > 0) assert_int_equal(model->head_features[i], features);
            differ = differ || model->windows[i] != model->windows[0];
        }
        assert_true(differ);
        pf_loaded_close(&written);
        unlink(path);
        pf_calibration_free(c);
    }
}

static void assert_originals_untouched(const pf_checkpoint *written) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(fixture.checkpoint); i++) {
        const pf_tensor *was = pf_checkpoint_tensor(fixture.checkpoint, i);
        const pf_tensor *is = pf_checkpoint_find(written, was->name);
        assert_non_null(is);
        assert_true(is->type == was->type && is->bytes == was->bytes);
        assert_memory_equal(is->data, was->data, was->bytes);
    }
}

static void a_file_runs_as_it_was_calibrated(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        pf_calibration_options options = few_steps();
        options.fit = kind & 1;
        options.budget = kind & 2;
        pf_calibration *c = calibrate(&options);
        char path[] = "/tmp/test_calibration.XXXXXX";
        pf_loaded written = round_trip(c, path);
        const pf_model *model = written.model;
        assert_originals_untouched(written.checkpoint);
        assert_int_equal(model->attention.kind, PF_ATTENTION_FAVOR);
        assert_int_equal(model->attention.map, options.fit ? PF_MAP_NORMALIZED : PF_MAP_FAVOR_PP);
        assert_int_equal(model->tail_rope, !options.fit);
        assert_int_equal(model->windows != NULL, options.budget);
        for (uint32_t i = 0; i < model->n_layers; i++) {
            assert_non_null(model->layers[i].favor.q_map);
            assert_int_equal(model->layers[i].favor.fitted_features,
                             c->layers[i].favor.fitted_features);
        }
        pf_session_options run = pf_session_options_default(model);
        float *logits = calloc(model->n_vocab, sizeof *logits);
        for (int map = 0; map < 2; map++) { /* the fitted map, and the file's other estimator */
            if (map == 1) run.attention.map = PF_MAP_FAVOR_PP;
            pf_session *session = pf_session_new(model, &run, NULL);
            assert_non_null(session);
            assert_true(pf_session_append(session, ids[0], T, logits, 1, NULL));
            for (uint32_t i = 0; i < model->n_vocab; i++) assert_true(isfinite(logits[i]));
            pf_session_free(session);
        }
        free(logits);
        pf_loaded_close(&written);
        unlink(path);
        pf_calibration_free(c);
    }
}

/* A calibrated file can be calibrated again; nothing of the first calibration remains. */
static void a_second_calibration_replaces_the_first(void **state) {
    (void)state;
    pf_calibration_options options = few_steps();
    pf_calibration *c = calibrate(&options);
    char path[] = "/tmp/test_calibration.XXXXXX";
    pf_loaded first = round_trip(c, path);
    pf_calibration_free(c);
    options.fit = options.budget = false;
    c = calibrate(&options);
    pf_error error = {""};
    pf_checkpoint *second = pf_calibration_to_checkpoint(c, first.model, first.checkpoint, &error);
    assert_non_null(second);
    assert_null(pf_checkpoint_find(second, "blk.0.favor.q.weight"));
    assert_null(pf_checkpoint_find_meta(second, "performer.windows"));
    assert_originals_untouched(second);
    pf_checkpoint_free(second);
    pf_loaded_close(&first);
    pf_calibration_free(c);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_definition),
        cmocka_unit_test(gradients_agree_with_finite_differences),
        cmocka_unit_test(a_fit_lowers_the_error),
        cmocka_unit_test(the_engine_runs_what_was_fitted),
        cmocka_unit_test(a_probe_is_one_head_without_its_tail),
        cmocka_unit_test(a_seed_gives_the_same_again),
        cmocka_unit_test(a_budget_is_kept),
        cmocka_unit_test(a_budget_can_leave_the_tails_alone),
        cmocka_unit_test(it_can_be_interrupted),
        cmocka_unit_test(it_stops_wherever_it_is_asked_to),
        cmocka_unit_test(every_failing_allocation_is_a_clean_error),
        cmocka_unit_test(a_file_runs_as_it_was_calibrated),
        cmocka_unit_test(a_second_calibration_replaces_the_first),
    };
    return cmocka_run_group_tests_name("calibration", tests, open_fixture, close_fixture);
}
