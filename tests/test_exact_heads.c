/* floor 6.2 - tests of exact heads: a window over the whole text, and keys in 8 bits. */
#include "attention_testing.h"

/* Heads with a window over the whole text, beside one that folds and one that forgets: their rows
 * are softmax's, whatever the chunks and threads, also beyond the chunks of the cache and the
 * trained context; the others are as without them. */
static void exact_heads_are_softmax(void **state) {
    (void)state;
    enum { T = 2 * PF_KV_CHUNK + 40, H = 6, D = 32 };
    const uint32_t windows[] = {PF_WINDOW_ALL, 9, PF_WINDOW_ALL}, features[] = {16, 16, 0};
    const size_t chunks[] = {1, 7, 300, T};
    problem p = make_problem(T, H, 3, D, 0.7f);
    size_t n = out_size(&p);
    float *softmax = malloc(n * sizeof *softmax), *alone = malloc(n * sizeof *alone);
    p.config.sink_context = 64;
    p.chunk = 64;
    p.options.kind = PF_ATTENTION_SOFTMAX;
    solve(&p, softmax);
    p.options.sinks = 2, p.options.window = 9, p.options.features = 16;
    for (int kind = 0; kind < 2; kind++) {
        p.options.kind = kind ? PF_ATTENTION_FAVOR : PF_ATTENTION_LOCAL;
        p.config.windows = NULL, p.config.head_features = NULL;
        p.chunk = 64, p.threads = 1;
        solve(&p, alone);
        p.config.windows = windows, p.config.head_features = features;
        for (size_t c = 0; c < 4; c++) {
            for (p.threads = 1; p.threads <= 2; p.threads++) {
                p.chunk = chunks[c];
                pf_attention *a = solve_keeping(&p, p.out);
                pf_attention_config config = config_of(&p);
                pf_attention_bytes bytes = pf_attention_planned_bytes(&config);
                assert_int_equal(bytes.per_token, 2 * 2 * D * sizeof(float));
                assert_int_equal(pf_attention_state_bytes(a, T),
                                 bytes.constant + T * bytes.per_token);
                pf_attention_free(a);
                for (size_t t = 0; t < T; t++)
                    for (size_t h = 0; h < H; h++) {
                        const float *want = h / 2 == 1 ? alone : softmax;
                        size_t at = (t * H + h) * D;
                        assert_true(largest_difference(p.out + at, want + at, D) < 1e-4f);
                    }
            }
        }
    }
    free(softmax);
    free(alone);
    free_problem(&p);
}

/* Keys and values in blocks of 8 bits: near float's rows, and the same rows for any chunks. */
static void q8_0_rounds_keys_and_values(void **state) {
    (void)state;
    problem p = make_problem(T_MAX, 4, 2, 64, 0.7f);
    float *full = malloc(out_size(&p) * sizeof *full), *want = malloc(out_size(&p) * sizeof *want);
    const variant shared[] = {
        {PF_ATTENTION_SOFTMAX, PF_MAP_POSITIVE, 0, 0, 0, 0, true, 0},
        {PF_ATTENTION_FAVOR, PF_MAP_POSITIVE, 65, 2, 0, 0, false, 0},
        {PF_ATTENTION_LOCAL, PF_MAP_POSITIVE, PF_WINDOW_ALL, 2, 0, 0, false, 0},
    };
    for (size_t i = 0; i < 3; i++) {
        apply_variant(&p, &shared[i]);
        solve_alone(&p, PF_KV_F32, full);
        solve_alone(&p, PF_KV_Q8_0, want);
        float rounding = largest_difference(want, full, out_size(&p));
        assert_true(rounding > 1e-4f && rounding < 3e-2f);
        check_sharing(&p, 2, want, full);
    }
    pf_error error = {""};
    free_problem(&p);
    p = make_problem(4, 1, 1, 48, 1);
    p.options.kv = PF_KV_Q8_0;
    pf_attention_config config = config_of(&p);
    assert_null(pf_attention_new(&config, 4, 1, &error));
    assert_non_null(strstr(error.message, "multiple of 32"));
    free(full);
    free(want);
    free_problem(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_heads_are_softmax),
        cmocka_unit_test(q8_0_rounds_keys_and_values),
    };
    return cmocka_run_group_tests_name("exact heads", tests, NULL, NULL);
}
