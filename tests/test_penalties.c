/* floor 6.2 - tests of penalties: against their definition, counted anew for every token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "penalties.h"
#include "rng.h"
#include "sampler.h"

#include <math.h>
#include <string.h>

enum { V = 7, TEXT = 160 };

static const float logits[V] = {2.0f, -1.0f, 0.0f, 3.5f, -0.25f, 1.0f, 0.5f};

/* The definition of repeat, presence and frequency, of text [n]. */
static void count_penalties(const pf_penalty_options *o, const int32_t *text, size_t n,
                            double *wanted) {
    size_t start = n > o->last_n ? n - o->last_n : 0;
    for (int id = 0; id < V; id++) {
        int count = 0;
        for (size_t i = start; i < n; i++) count += text[i] == id;
        if (count == 0) continue;
        wanted[id] =
            wanted[id] > 0 ? wanted[id] / (double)o->repeat : wanted[id] * (double)o->repeat;
        wanted[id] -= count * (double)o->frequency + (double)o->presence;
    }
}

/* The longest run that ends text [n], does not pass a break, and stands before text[at] as well. */
static size_t run_before(const pf_penalty_options *o, const int32_t *text, size_t n, size_t at) {
    size_t run = 0;
    while (run < at && text[n - 1 - run] == text[at - 1 - run] &&
           !(o->dry_breaks && o->dry_breaks[text[n - 1 - run]]))
        run++;
    return run;
}

static void dry_penalties(const pf_penalty_options *o, const int32_t *text, size_t n,
                          double *wanted) {
    size_t start = n > o->dry_last_n ? n - o->dry_last_n : 0;
    for (int id = 0; id < V; id++) {
        size_t longest = 0;
        for (size_t at = start + 1; at < n; at++)
            if (text[at] == id && run_before(o, text + start, n - start, at - start) > longest)
                longest = run_before(o, text + start, n - start, at - start);
        if (longest >= o->dry_allowed_length)
            wanted[id] -=
                fmin(1e9, (double)o->dry_multiplier *
                              pow((double)o->dry_base, (double)(longest - o->dry_allowed_length)));
    }
}

/* A text that repeats itself now and then: runs of an earlier part, and random tokens. */
static void write_text(int32_t *text, uint64_t seed) {
    pf_rng rng;
    pf_rng_seed(&rng, seed, 0);
    for (size_t n = 0; n < TEXT;) {
        size_t run = (size_t)(pf_rng_uniform(&rng) * 12), from = 0;
        if (n > 0) from = (size_t)(pf_rng_uniform(&rng) * (double)n);
        for (size_t i = 0; n < TEXT && i < run && from + i < n; i++, n++) text[n] = text[from + i];
        if (n < TEXT) text[n++] = (int32_t)(pf_rng_uniform(&rng) * V);
    }
}

static void check_text(const pf_penalty_options *options, uint64_t seed) {
    int32_t text[TEXT];
    write_text(text, seed);
    pf_error error = {""};
    pf_penalties *p = pf_penalties_new(options, V, &error);
    assert_non_null(p);
    for (size_t n = 0; n <= TEXT; n++) {
        double wanted[V];
        for (int i = 0; i < V; i++) wanted[i] = (double)logits[i];
        count_penalties(options, text, n, wanted);
        if (options->dry_multiplier > 0 && n > 0) dry_penalties(options, text, n, wanted);
        const float *changed = pf_penalties_apply(p, logits);
        for (int i = 0; i < V; i++)
            assert_true(fabs((double)changed[i] - wanted[i]) <= 1e-5 * (1 + fabs(wanted[i])));
        if (n < TEXT) pf_penalties_push(p, text[n]);
    }
    pf_penalties_free(p);
}

static void test_counts(void **state) {
    (void)state;
    static const size_t last[] = {1, 2, 13, 64, 1000};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        pf_penalty_options o = {
            .repeat = 1.3f, .presence = 0.4f, .frequency = 0.2f, .last_n = last[i]};
        for (uint64_t seed = 0; seed < 5; seed++) check_text(&o, seed);
        o.repeat = 1;
        o.presence = -0.5f;
        check_text(&o, 9);
    }
}

static void test_dry(void **state) {
    (void)state;
    static const unsigned char breaks[V] = {0, 0, 1, 0, 0, 0, 0};
    static const size_t last[] = {2, 7, 50, 1000};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            pf_penalty_options o = {.dry_multiplier = 0.8f,
                                    .dry_base = 1.75f,
                                    .dry_allowed_length = 1 + seed % 4,
                                    .dry_last_n = last[i]};
            check_text(&o, seed);
            o.dry_breaks = breaks;
            check_text(&o, seed);
            o.repeat = 1.1f;
            o.last_n = 20;
            check_text(&o, seed);
        }
}

static void test_sampler_uses_them(void **state) {
    (void)state;
    pf_error error = {""};
    pf_sampler_options options = {.top_p = 1, .penalties = {.repeat = 10, .last_n = 2}};
    pf_sampler *sampler = pf_sampler_new(&options, V, &error);
    assert_non_null(sampler);
    assert_int_equal(pf_sampler_next(sampler, logits), 3);
    pf_sampler_accept(sampler, 3); /* 0.35 now */
    assert_int_equal(pf_sampler_next(sampler, logits), 0);
    pf_sampler_accept(sampler, 0);
    assert_int_equal(pf_sampler_next(sampler, logits), 5);
    int32_t recent[4];
    assert_int_equal(pf_sampler_recent(sampler, recent, 4), 2);
    assert_int_equal(recent[0], 3);
    assert_int_equal(recent[1], 0);
    pf_sampler_accept(sampler, 5); /* 3 is further back than two tokens */
    assert_int_equal(pf_sampler_next(sampler, logits), 3);
    pf_sampler_accept(sampler, -1); /* no token: ignored */
    pf_sampler_accept(sampler, V);
    assert_int_equal(pf_sampler_next(sampler, logits), 3);
    pf_sampler_accept(sampler, 3);
    pf_sampler_forget(sampler);
    assert_int_equal(pf_sampler_next(sampler, logits), 3);
    pf_sampler_free(sampler);
}

static void test_hostile(void **state) {
    (void)state;
    pf_error error = {""};
    pf_penalty_options bad[] = {
        {.repeat = -1, .last_n = 3},
        {.presence = NAN, .last_n = 3},
        {.frequency = INFINITY, .last_n = 3},
        {.dry_multiplier = 1, .dry_base = 0.5f, .dry_allowed_length = 1, .dry_last_n = 3},
        {.dry_multiplier = 1, .dry_base = 2, .dry_last_n = 3}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(pf_penalties_new(&bad[i], V, &error));
    pf_penalty_options longest = {
        .dry_multiplier = 1, .dry_base = 2, .dry_allowed_length = 1, .dry_last_n = 5000};
    pf_sampler_options options = {.top_p = 1, .penalties = longest};
    pf_sampler *sampler = pf_sampler_new(&options, V, &error);
    assert_non_null(sampler);
    for (int i = 0; i < 5000; i++) pf_sampler_accept(sampler, 3); /* 2^4999 is no float */
    assert_int_equal(pf_sampler_next(sampler, logits), 0);
    float broken[V];
    memcpy(broken, logits, sizeof broken);
    broken[2] = NAN;
    assert_int_equal(pf_sampler_next(sampler, broken), -1);
    for (int i = 0; i < V; i++) broken[i] = i == 3 ? 1 : -INFINITY; /* the only candidate stays */
    assert_int_equal(pf_sampler_next(sampler, broken), 3);
    pf_sampler_free(sampler);
    pf_penalty_options none = {.repeat = 1, .last_n = 64, .dry_last_n = 64};
    assert_false(pf_penalties_wanted(&none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_dry),
        cmocka_unit_test(test_sampler_uses_them),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
