/* floor 6.2 - tests of attention: exact cases, chunks and teams, parts of the past, redraws. */
#include "attention_testing.h"
#include "attention_private.h"
#include "memory.h"

/* d = 1, q = k = 1: all keys have the same weight in every draw: rows are running means of v. */
static void equal_keys_give_running_means(void **state) {
    (void)state;
    problem p = make_problem(3, 1, 1, 1, 1);
    p.model.position = PF_POSITION_NONE;
    for (size_t t = 0; t < 3; t++) p.q[t] = p.k[t] = 1, p.v[t] = t == 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        for (p.chunk = 1; p.chunk <= 3; p.chunk++) {
            p.options.seed = seed;
            solve(&p, p.out);
            assert_true(fabsf(p.out[0] - 1) < 1e-6f);
            assert_true(fabsf(p.out[1] - 0.5f) < 1e-6f);
            assert_true(fabsf(p.out[2] - 1 / 3.0f) < 1e-6f);
        }
    }
    free_problem(&p);
}

/* V = identity shows the attention weights: positive, none for the future, each row sums to 1. */
static void weights_are_causal_and_sum_to_one(void **state) {
    (void)state;
    problem p = make_problem(16, 1, 1, 16, 1);
    const pf_attention_kind kinds[] = {PF_ATTENTION_SOFTMAX, PF_ATTENTION_FAVOR,
                                       PF_ATTENTION_LOCAL};
    for (size_t i = 0; i < 16 * 16; i++) p.v[i] = i / 16 == i % 16;
    p.options.window = 4, p.options.sinks = 2;
    for (size_t kind = 0; kind < 3; kind++) {
        for (p.chunk = 1; p.chunk <= 16; p.chunk += 5) {
            p.options.kind = kinds[kind];
            solve(&p, p.out);
            for (size_t t = 0; t < 16; t++) {
                float sum = 0;
                for (size_t j = 0; j < 16; j++) {
                    float weight = p.out[t * 16 + j];
                    bool seen = j <= t && (kind != 2 || j < 2 || j + 4 > t);
                    assert_true(seen ? weight > 0 : weight == 0);
                    sum += weight;
                }
                assert_true(fabsf(sum - 1) < 1e-5f);
            }
        }
    }
    free_problem(&p);
}

static const variant variants[] = {
    {PF_ATTENTION_SOFTMAX, PF_MAP_POSITIVE, 0, 0, 0, 0, true, 0},
    {PF_ATTENTION_LOCAL, PF_MAP_POSITIVE, 16, 2, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 0, 0, false, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 3, 1e-3f, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 17, 1, 1e-4f, 0, false, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 100, 4, 0, 0, false, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 8, 1, 0, 50, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_HYPERBOLIC, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_TRIG, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_TRIG_OFFSET, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_FAVOR_PP, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_RELU, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_ELU, 8, 1, 0, 0, true, 0},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 0, 0, 0, 0, true, 20},
    {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 8, 1, 1e-2f, 40, true, 50},
};
enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

static void chunks_and_teams_agree_with_single_tokens(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 6, 3, 12, 0.7f);
    const size_t chunks[] = {7, 64, 100, T_MAX};
    float *want = malloc(out_size(&p) * sizeof *want);
    for (size_t i = 0; i < N_VARIANTS; i++) {
        apply_variant(&p, &variants[i]);
        p.chunk = 1, p.threads = 1;
        solve(&p, want);
        for (size_t c = 0; c < 4; c++) {
            for (p.threads = 1; p.threads <= 2; p.threads++) {
                p.chunk = chunks[c];
                solve(&p, p.out);
                float difference = largest_difference(p.out, want, out_size(&p));
                if (difference > 2e-4f)
                    print_message("variant %zu chunk %zu: %g\n", i, p.chunk, (double)difference);
                assert_true(difference <= 2e-4f);
            }
        }
    }
    free(want);
    free_problem(&p);
}

static void teams_share_heads_that_do_not_come_out_even(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 6, 3, 64, 0.7f);
    float *want = malloc(out_size(&p) * sizeof *want), *full = malloc(out_size(&p) * sizeof *full);
    float *again = malloc(out_size(&p) * sizeof *again);
    const variant shared[] = {
        {PF_ATTENTION_SOFTMAX, PF_MAP_POSITIVE, 0, 0, 0, 0, true, 0},
        {PF_ATTENTION_LOCAL, PF_MAP_POSITIVE, 270, 4, 0, 0, true, 0},
        {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 265, 2, 0, 0, false, 0},
    };
    for (size_t i = 0; i < 3; i++) {
        apply_variant(&p, &shared[i]);
        solve_alone(&p, PF_KV_F32, full);
        check_sharing(&p, 2, full, again);
        if (i == 0) check_sharing(&p, 5, full, again);
        solve_alone(&p, PF_KV_F16, want);
        check_sharing(&p, 2, want, again);
        float rounding = largest_difference(want, full, out_size(&p));
        assert_true(rounding > 1e-5f && rounding < 4e-3f);
    }
    free(want);
    free(full);
    free(again);
    free_problem(&p);
}

/* The prompts of a layer with one KV head, whose window is full in the middle of a chunk, in the
 * middle of a text, or never: to the bit the same for any team, and a second member works. */
static void teams_share_full_windows_to_the_bit(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 4, 1, 64, 0.7f);
    size_t n = out_size(&p);
    float *want = malloc(n * sizeof *want), *alone = malloc(n * sizeof *alone);
    const size_t chunks[] = {40, 100, T_MAX};
    const uint32_t sinks[] = {0, 3};
    for (uint32_t i = 0; i < 18; i++) {
        const uint32_t windows[] = {20, 150, 400};
        p.options.kind = PF_ATTENTION_LOCAL;
        p.options.window = windows[i % 3], p.options.sinks = sinks[i / 3 % 2];
        if (p.options.sinks == 0) { /* a sliding layer of a model under softmax */
            p.options.kind = PF_ATTENTION_SOFTMAX;
            p.layer.window = p.options.window;
        }
        solve_alone(&p, (pf_kv_kind)(i / 6), want);
        for (size_t c = 0; c < 3; c++) {
            p.chunk = chunks[c], p.threads = 1;
            solve(&p, alone);
            assert_true(largest_difference(alone, want, n) <= 2e-4f);
            int most = i < 6 && c > 0 ? 3 : 2; /* they wait long where cores are few */
            for (p.threads = 2; p.threads <= most; p.threads++) {
                pf_attention *a = solve_keeping(&p, p.out);
                assert_memory_equal(p.out, alone, n * sizeof *alone);
                assert_true(a->scratch[1].q[0] != 0);
                pf_attention_free(a);
            }
        }
        p.layer.window = 0;
    }
    free(want);
    free(alone);
    free_problem(&p);
}

/* A key much larger than all before must not wipe out what earlier queries of its block read. */
static void a_sudden_large_key_does_not_disturb_the_past(void **state) {
    (void)state;
    problem p = make_problem(64, 1, 1, 8, 0.5f);
    for (size_t d = 0; d < 8; d++) p.k[40 * 8 + d] = 40; /* log-scale jumps by hundreds */
    float *want = malloc(out_size(&p) * sizeof *want);
    solve(&p, want);
    p.chunk = 64;
    solve(&p, p.out);
    assert_true(largest_difference(p.out, want, out_size(&p)) < 1e-4f);
    for (size_t i = 0; i < out_size(&p); i++) assert_true(isfinite(p.out[i]));
    free(want);
    free_problem(&p);
}

/* The engine's streaming result against the definition: O(n^2), double, features of every pair; the
 * tail's keys fade by 1 - 1/forget with each one that follows. */
static void check_definition(uint32_t forget) {
    enum { T = 40, D = 8, M = 32, W = 5, S = 2 };
    problem p = make_problem(T, 1, 1, D, 0.8f);
    p.model.position = PF_POSITION_NONE;
    p.options.window = W, p.options.sinks = S, p.options.forget = forget;
    solve(&p, p.out);

    pf_head_features features;
    pf_attention_config config = config_of(&p);
    double scratch[D * D];
    assert_true(pf_head_features_new(&features, &config, 0, 0, M, NULL));
    pf_head_features_draw(&features, &config, 0, 0, 0, scratch);
    float phi_q[T * M], phi_k[T * M], sq[T], sk[T],
        *work_floats = malloc(pf_features_scratch(D, M, T) * 4);
    pf_features_apply(features.q, p.q, D, T, phi_q, sq, work_floats);
    pf_features_apply(features.k, p.k, D, T, phi_k, sk, work_floats);
    for (size_t i = 0; i < T; i++) {
        double den = 0, sum[D] = {0};
        for (size_t j = 0; j <= i; j++) {
            double weight = 0;
            if (j < S || j + W > i) {
                for (size_t d = 0; d < D; d++)
                    weight += (double)p.q[i * D + d] * (double)p.k[j * D + d];
                weight = exp(weight * (double)p.model.attention_scale);
            } else {
                for (size_t m = 0; m < M; m++)
                    weight += (double)phi_q[i * M + m] * (double)phi_k[j * M + m];
                weight *= exp((double)sq[i] + (double)sk[j]);
                if (forget) weight *= pow(1 - 1.0 / forget, (double)(i - W - j));
            }
            den += weight;
            for (size_t d = 0; d < D; d++) sum[d] += weight * (double)p.v[j * D + d];
        }
        for (size_t d = 0; d < D; d++)
            assert_true(fabs((double)p.out[i * D + d] - sum[d] / den) < 1e-5);
    }
    free(work_floats);
    pf_head_features_free(&features);
    free_problem(&p);
}

static void streaming_equals_the_quadratic_definition(void **state) {
    (void)state;
    check_definition(0);
    check_definition(10);
}

static void an_endless_window_is_softmax(void **state) {
    (void)state;
    problem p = make_problem(200, 4, 2, 16, 1);
    float *want = malloc(out_size(&p) * sizeof *want);
    p.options.kind = PF_ATTENTION_SOFTMAX;
    solve(&p, want);
    p.options.window = 200;
    p.options.sinks = 3;
    for (p.chunk = 1; p.chunk < 100; p.chunk += 60) {
        p.options.kind = PF_ATTENTION_FAVOR;
        solve(&p, p.out);
        assert_true(largest_difference(p.out, want, out_size(&p)) < 1e-5f);
        p.options.kind = PF_ATTENTION_LOCAL;
        solve(&p, p.out);
        assert_true(largest_difference(p.out, want, out_size(&p)) < 1e-5f);
    }
    free(want);
    free_problem(&p);
}

/* Averaged over draws, numerator and denominator converge to softmax's, and for small Z the row. */
static void many_features_converge_to_softmax(void **state) {
    (void)state;
    problem p = make_problem(60, 2, 1, 8, 0.6f);
    float *want = malloc(out_size(&p) * sizeof *want), errors[2] = {0};
    p.options.kind = PF_ATTENTION_SOFTMAX;
    solve(&p, want);
    p.options.kind = PF_ATTENTION_FAVOR;
    p.chunk = 60;
    for (int i = 0; i < 2; i++) {
        p.options.features = i ? 4096 : 64;
        for (uint64_t seed = 1; seed <= 4; seed++) {
            p.options.seed = seed;
            solve(&p, p.out);
            for (size_t j = 0; j < out_size(&p); j++)
                errors[i] += (p.out[j] - want[j]) * (p.out[j] - want[j]);
        }
    }
    print_message("squared error: %g at 64 features, %g at 4096\n", (double)errors[0],
                  (double)errors[1]);
    /* variance falls as 1 / M, 64 times, once M is large; at 64 the largest errors are capped */
    assert_true(errors[1] < errors[0] / 10);
    free(want);
    free_problem(&p);
}

static void redraws_leave_softmax_alone_and_change_favor(void **state) {
    (void)state;
    problem p = make_problem(120, 2, 2, 8, 0.8f);
    size_t n = out_size(&p);
    float *never = malloc(n * sizeof *never);
    p.chunk = 30;
    for (int kind = 0; kind < 2; kind++) {
        p.options.kind = kind ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX;
        p.options.redraw = PF_REDRAW_NEVER;
        solve(&p, never);
        p.options.redraw = 50;
        pf_attention *a = solve_keeping(&p, p.out);
        assert_int_equal(pf_attention_redraws(a), kind ? 2 : 0);
        assert_true(largest_difference(p.out, never, 50 * 16) == 0); /* before the first redraw */
        float after = largest_difference(p.out + 50 * 16, never + 50 * 16, n - 50 * 16);
        assert_true(kind ? after > 1e-3f : after == 0);
        pf_attention_free(a);
    }
    free(never);
    free_problem(&p);
}

/* After a redraw the sums must be those of the new features over the whole past. */
static void a_redraw_rebuilds_the_whole_past(void **state) {
    (void)state;
    problem p = make_problem(100, 1, 1, 8, 0.5f);
    float *want = malloc(out_size(&p) * sizeof *want);
    p.options.kind = PF_ATTENTION_SOFTMAX;
    solve(&p, want);
    p.options.kind = PF_ATTENTION_FAVOR;
    p.options.features = 2048;
    p.options.redraw = 10;
    solve(&p, p.out);
    float error = largest_difference(p.out, want, out_size(&p));
    assert_true(error < 0.1f); /* a forgotten past would be off by the size of v, 0.5 */
    p.chunk = 33;
    float *chunked = malloc(out_size(&p) * sizeof *chunked);
    solve(&p, chunked);
    assert_true(largest_difference(p.out, chunked, out_size(&p)) < 1e-4f);
    free(chunked);
    free(want);
    free_problem(&p);
}

static void sequences_draw_anew_only_if_asked(void **state) {
    (void)state;
    problem p = make_problem(20, 1, 1, 8, 1);
    p.chunk = 20;
    for (int i = 0; i < 2; i++) {
        p.options.redraw = i ? PF_REDRAW_SEQUENCE : PF_REDRAW_NEVER;
        float first[160], second[160];
        pf_attention *a = solve_keeping(&p, first);
        pf_attention_reset(a);
        step s = {&p, a, 0, 20, second};
        assert_true(pf_attention_begin(a, 0, 20, NULL));
        pf_parallel(1, work, &s);
        float difference = largest_difference(first, second, 160);
        assert_true(i ? difference > 1e-3f : difference == 0);
        pf_attention_free(a);
    }
    free_problem(&p);
}

static void heads_may_differ_in_window_and_features(void **state) {
    (void)state;
    problem p = make_problem(150, 4, 2, 8, 0.8f);
    const uint32_t windows[] = {10, 40}, features[] = {16, 0};
    p.config.windows = windows;
    p.config.head_features = features;
    p.options.sinks = 2;
    float *want = malloc(out_size(&p) * sizeof *want);
    pf_attention *a = solve_keeping(&p, want);
    /* slots: 2 D (S + W) floats per head, rounded to 16; tail: 16 (8 + 1) + 1, rounded to 16 */
    assert_int_equal(pf_attention_state_bytes(a, p.T), 4 * (2 * 8 * 12 + 160 + 2 * 8 * 42));
    pf_attention_free(a);
    p.chunk = 64;
    solve(&p, p.out);
    assert_true(largest_difference(p.out, want, out_size(&p)) < 1e-4f);

    /* the head without features is `local` with its window, to the bit of rounding */
    p.config.windows = NULL, p.config.head_features = NULL;
    p.options.kind = PF_ATTENTION_LOCAL;
    p.options.window = 40;
    solve(&p, p.out);
    for (size_t t = 0; t < 150; t++)
        assert_true(largest_difference(p.out + t * 32 + 16, want + t * 32 + 16, 16) < 1e-5f);

    /* sizes chosen for one map serve another that makes two features of a projection */
    const uint32_t odd[] = {15, 15}, even[] = {14, 14};
    p.options.kind = PF_ATTENTION_FAVOR, p.options.map = PF_MAP_HYPERBOLIC;
    p.config.head_features = odd;
    solve(&p, want);
    p.config.head_features = even;
    solve(&p, p.out);
    assert_true(largest_difference(p.out, want, out_size(&p)) == 0);
    free(want);
    free_problem(&p);
}

static void state_does_not_grow_with_the_text(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 2, 1, 8, 1);
    for (size_t i = 1; i < N_VARIANTS; i++) {
        apply_variant(&p, &variants[i]);
        if (p.options.redraw) continue;
        p.T = 10;
        pf_attention *a = solve_keeping(&p, p.out);
        size_t bytes = pf_attention_state_bytes(a, p.T);
        pf_attention_free(a);
        p.T = T_MAX;
        a = solve_keeping(&p, p.out);
        assert_int_equal(pf_attention_state_bytes(a, p.T), bytes);
        pf_attention_config config = config_of(&p);
        assert_int_equal(pf_attention_planned_bytes(&config).constant, bytes);
        pf_attention_free(a);
    }
    free_problem(&p);
}

/* Trig features of long vectors: denominators vanish or turn negative; counted, and never NaN. */
static void bad_denominators_are_counted_and_finite(void **state) {
    (void)state;
    problem p = make_problem(100, 1, 1, 8, 4);
    p.options.map = PF_MAP_TRIG;
    p.options.features = 8;
    for (p.chunk = 1; p.chunk < 100; p.chunk += 49) {
        pf_attention *a = solve_keeping(&p, p.out);
        assert_true(pf_attention_bad_denominators(a) > 0);
        for (size_t i = 0; i < out_size(&p); i++) assert_true(isfinite(p.out[i]));
        pf_attention_free(a);
    }
    p.options.map = PF_MAP_POSITIVE;
    pf_attention *a = solve_keeping(&p, p.out);
    assert_int_equal(pf_attention_bad_denominators(a), 0);
    pf_attention_free(a);
    free_problem(&p);
}

/* Beyond the trained context a sink stays at the largest distance that the model knows. */
static void sinks_do_not_run_away(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 1, 1, 8, 1);
    for (size_t i = 0; i < p.T * 8; i++) p.q[i] = 1, p.k[i] = 1, p.v[i] = i < 8;
    p.options.kind = PF_ATTENTION_LOCAL;
    p.options.window = 4, p.options.sinks = 1;
    p.config.sink_context = 50;
    for (p.chunk = 1; p.chunk < 200; p.chunk += 98) {
        solve(&p, p.out);
        float there = p.out[49 * 8], beyond = p.out[290 * 8];
        assert_true(fabsf(there - beyond) < 1e-5f);
        assert_true(fabsf(p.out[20 * 8] - there) > 1e-4f); /* within it, distance matters */
    }
    free_problem(&p);
}

static void impossible_options_are_refused(void **state) {
    (void)state;
    problem p = make_problem(4, 1, 1, 8, 1);
    struct {
        pf_map_kind map;
        uint32_t features;
        float epsilon;
        const char *word;
    } cases[] = {{PF_MAP_POSITIVE, 0, 0, "--features"},
                 {PF_MAP_TRIG, 33, 0, "even"},
                 {PF_MAP_NORMALIZED, 32, 0, "calibrate"},
                 {PF_MAP_ELU, 32, 1e-3f, "--epsilon"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pf_error error = {""};
        p.options.map = cases[i].map;
        p.options.features = cases[i].features;
        p.options.epsilon = cases[i].epsilon;
        pf_attention_config config = config_of(&p);
        assert_null(pf_attention_new(&config, 4, 1, &error));
        assert_non_null(strstr(error.message, cases[i].word));
    }
    pf_error error = {""};
    p.options = pf_attention_options_default();
    p.options.kind = PF_ATTENTION_LOCAL;
    pf_attention_config config = config_of(&p);
    assert_null(pf_attention_new(&config, 4, 1, &error));
    assert_non_null(strstr(error.message, "--window"));
    free_problem(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_keys_give_running_means),
        cmocka_unit_test(weights_are_causal_and_sum_to_one),
        cmocka_unit_test(chunks_and_teams_agree_with_single_tokens),
        cmocka_unit_test(teams_share_heads_that_do_not_come_out_even),
        cmocka_unit_test(teams_share_full_windows_to_the_bit),
        cmocka_unit_test(a_sudden_large_key_does_not_disturb_the_past),
        cmocka_unit_test(streaming_equals_the_quadratic_definition),
        cmocka_unit_test(an_endless_window_is_softmax),
        cmocka_unit_test(many_features_converge_to_softmax),
        cmocka_unit_test(redraws_leave_softmax_alone_and_change_favor),
        cmocka_unit_test(a_redraw_rebuilds_the_whole_past),
        cmocka_unit_test(sequences_draw_anew_only_if_asked),
        cmocka_unit_test(heads_may_differ_in_window_and_features),
        cmocka_unit_test(state_does_not_grow_with_the_text),
        cmocka_unit_test(bad_denominators_are_counted_and_finite),
        cmocka_unit_test(sinks_do_not_run_away),
        cmocka_unit_test(impossible_options_are_refused),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
