/* floor 6.2 - tests of the sampler: frequencies, filters, ties, seeds, hostile logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sampler.h"

#include <math.h>
#include <string.h>

enum { V = 5, DRAWS = 20000 };

/* Probabilities 0.5, 0.05, 0.25, 0.15, 0.05 */
static const double probabilities[V] = {0.5, 0.05, 0.25, 0.15, 0.05};

static void fill_logits(float *logits) {
    for (int i = 0; i < V; i++) logits[i] = (float)log(probabilities[i]) + 3.0f;
}

static void count(const pf_sampler_options *options, int *counts) {
    pf_error error = {0};
    pf_sampler *sampler = pf_sampler_new(options, V, &error);
    assert_non_null(sampler);
    float logits[V], before[V];
    fill_logits(logits);
    memcpy(before, logits, sizeof before);
    memset(counts, 0, V * sizeof *counts);
    for (int i = 0; i < DRAWS; i++) {
        int32_t id = pf_sampler_next(sampler, logits);
        assert_in_range(id, 0, V - 1);
        counts[id]++;
    }
    assert_memory_equal(logits, before, sizeof before);
    pf_sampler_free(sampler);
}

/* Every frequency is within 5 standard errors of `expected` (at any scale). */
static void assert_frequencies(const int *counts, const double *expected) {
    double total = 0;
    for (int i = 0; i < V; i++) total += expected[i];
    for (int i = 0; i < V; i++) {
        double p = expected[i] / total, error = sqrt(DRAWS * p * (1 - p));
        assert_true(fabs(counts[i] - DRAWS * p) <= 5 * error);
    }
}

static pf_sampler_options plain(void) {
    return (pf_sampler_options){.temperature = 1, .top_p = 1, .seed = 7};
}

static void test_draws_from_softmax(void **state) {
    (void)state;
    int counts[V];
    pf_sampler_options options = plain();
    count(&options, counts);
    assert_frequencies(counts, probabilities);
}

static void test_temperature_bends_the_distribution(void **state) {
    (void)state;
    int counts[V];
    double squared[V], rooted[V];
    for (int i = 0; i < V; i++) {
        squared[i] = probabilities[i] * probabilities[i];
        rooted[i] = sqrt(probabilities[i]);
    }
    pf_sampler_options options = plain();
    options.temperature = 0.5f;
    count(&options, counts);
    assert_frequencies(counts, squared);
    options.temperature = 2;
    count(&options, counts);
    assert_frequencies(counts, rooted);
}

static void test_top_k_keeps_the_best_and_the_lower_id_of_equals(void **state) {
    (void)state;
    int counts[V];
    pf_sampler_options options = plain();
    options.top_k = 2;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0, 0.25, 0, 0});
    options.top_k = 4;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0.05, 0.25, 0.15, 0});
    options.top_k = 1000; /* more than there are */
    count(&options, counts);
    assert_frequencies(counts, probabilities);
}

static void test_top_p_keeps_the_fewest_that_reach_it(void **state) {
    (void)state;
    int counts[V];
    pf_sampler_options options = plain();
    options.top_p = 0.7f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0, 0.25, 0, 0});
    options.top_p = 0.76f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0, 0.25, 0.15, 0});
    options.top_p = 0.92f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0.05, 0.25, 0.15, 0});
    options.top_p = 0;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){1, 0, 0, 0, 0});
}

static void test_min_p_is_relative_to_the_best(void **state) {
    (void)state;
    int counts[V];
    pf_sampler_options options = plain();
    options.min_p = 0.2f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0, 0.25, 0.15, 0});
    options.min_p = 1;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){1, 0, 0, 0, 0});
}

/* top-k renormalises before top-p: of {0.5, 0.25} the first alone has 2/3. */
static void test_filters_apply_in_order(void **state) {
    (void)state;
    int counts[V];
    pf_sampler_options options = plain();
    options.top_k = 2;
    options.top_p = 0.66f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){1, 0, 0, 0, 0});
    options.top_p = 0.68f;
    options.min_p = 0.4f;
    count(&options, counts);
    assert_frequencies(counts, (const double[V]){0.5, 0, 0.25, 0, 0});
}

static void test_seed_decides(void **state) {
    (void)state;
    enum { N = 200 };
    int32_t ids[3][N];
    float logits[V];
    fill_logits(logits);
    for (int run = 0; run < 3; run++) {
        pf_sampler_options options = plain();
        options.seed = run == 2 ? 8 : 7;
        pf_sampler *sampler = pf_sampler_new(&options, V, NULL);
        assert_non_null(sampler);
        for (int i = 0; i < N; i++) ids[run][i] = pf_sampler_next(sampler, logits);
        pf_sampler_free(sampler);
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_not_equal(ids[0], ids[2], sizeof ids[0]);
}

static int32_t one(float temperature, const float *logits) {
    pf_sampler_options options = plain();
    options.temperature = temperature;
    options.top_p = 0.9f;
    pf_sampler *sampler = pf_sampler_new(&options, 3, NULL);
    assert_non_null(sampler);
    int32_t id = pf_sampler_next(sampler, logits);
    pf_sampler_free(sampler);
    return id;
}

static void test_extremes(void **state) {
    (void)state;
    const float tie[3] = {1, 2, 2}, nan_last[3] = {1, 2, NAN}, wide[3] = {-3e38f, 3e38f, 0};
    const float none[3] = {-INFINITY, -INFINITY, -INFINITY};
    const float infinite[3] = {0, INFINITY, 5}, single[3] = {-INFINITY, -INFINITY, -7};
    assert_int_equal(one(0, tie), 1);
    assert_int_equal(one(1e-9f, (const float[3]){1, 2, 1.5f}), 1);
    assert_in_range(one(1e9f, wide), 0, 2);
    for (int hot = 0; hot < 2; hot++) {
        assert_int_equal(one((float)hot, nan_last), -1);
        assert_int_equal(one((float)hot, none), -1);
        assert_int_equal(one((float)hot, infinite), 1);
        assert_int_equal(one((float)hot, single), 2);
        assert_int_equal(one((float)hot, wide), 1);
    }
}

static void test_refuses_bad_options(void **state) {
    (void)state;
    const float bad_temperatures[] = {-1, NAN, INFINITY};
    pf_error error = {0};
    for (int i = 0; i < 3; i++) {
        pf_sampler_options options = plain();
        options.temperature = bad_temperatures[i];
        assert_null(pf_sampler_new(&options, V, &error));
        assert_non_null(strstr(error.message, "temperature"));
    }
    pf_sampler_options options = plain();
    options.top_p = 1.5f;
    assert_null(pf_sampler_new(&options, V, &error));
    options = plain();
    options.min_p = NAN;
    assert_null(pf_sampler_new(&options, V, &error));
    options = plain();
    assert_null(pf_sampler_new(&options, 0, &error));
}

/* A large vocabulary, against a sort: the heap and the cut before top-p must not lose a token. */
static void test_top_p_on_a_large_vocabulary(void **state) {
    (void)state;
    enum { N = 4000 };
    static float logits[N];
    static int seen[N];
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    double total = 0;
    for (int i = 0; i < N; i++) {
        logits[i] = 2 * (float)pf_rng_normal(&rng);
        total += exp((double)logits[i]);
    }
    /* The nucleus: token i is in if the mass of the heavier ones is below p. */
    pf_sampler_options options = plain();
    options.top_p = 0.5f;
    pf_sampler *sampler = pf_sampler_new(&options, N, NULL);
    assert_non_null(sampler);
    for (int i = 0; i < DRAWS; i++) seen[pf_sampler_next(sampler, logits)]++;
    pf_sampler_free(sampler);
    int inside = 0, found = 0;
    for (int i = 0; i < N; i++) {
        double heavier = 0;
        for (int j = 0; j < N; j++)
            if (logits[j] > logits[i]) heavier += exp((double)logits[j]);
        if (heavier / total < 0.4999) inside++, found += seen[i] > 0;
        if (heavier / total > 0.5001) assert_int_equal(seen[i], 0);
    }
    assert_true(inside > 50 && found == inside);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_from_softmax),
        cmocka_unit_test(test_temperature_bends_the_distribution),
        cmocka_unit_test(test_top_k_keeps_the_best_and_the_lower_id_of_equals),
        cmocka_unit_test(test_top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(test_min_p_is_relative_to_the_best),
        cmocka_unit_test(test_filters_apply_in_order),
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_refuses_bad_options),
        cmocka_unit_test(test_top_p_on_a_large_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
