/* floor 6.2 - test_rng: the published generator, independent streams, the right moments. */
#include "rng.h"
#include "testing.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { N = 1000000 };

/* |value - expected| <= 5 standard errors: a correct generator fails once in 1.7 million runs, and
 * the seeds here are fixed. */
static void near(double value, double expected, double standard_error) {
    if (fabs(value - expected) > 5 * standard_error)
        fail_msg("%g is not %g +- 5 * %g", value, expected, standard_error);
}

/* xoshiro256** by hand from the state {1, 2, 3, 4}: first  rotl(2 * 5, 7) * 9 = 1280 * 9;  then
 * s1 = 2 ^ (3 ^ 1) = 0, so 0; then s1 = 0 ^ ... = 262149 and rotl(262149 * 5, 7) * 9. */
static void first_numbers_are_xoshiro256_starstar(void **state) {
    (void)state;
    pf_rng rng = {.state = {1, 2, 3, 4}};
    assert_true(pf_rng_u64(&rng) == 11520);
    assert_true(pf_rng_u64(&rng) == 0);
    assert_true(pf_rng_u64(&rng) == 262149u * 5u * 128u * 9u);
}

static void same_seed_same_numbers(void **state) {
    (void)state;
    pf_rng a, b;
    memset(&a, 0x55, sizeof a); /* seeding must set every field */
    memset(&b, 0xaa, sizeof b);
    pf_rng_seed(&a, 42, 7);
    pf_rng_seed(&b, 42, 7);
    for (int i = 0; i < 1000; i++) {
        assert_true(pf_rng_u64(&a) == pf_rng_u64(&b));
        assert_true(pf_rng_normal(&a) == pf_rng_normal(&b));
    }
}

/* Streams of nearby and of swapped (seed, stream) pairs must not be correlated. */
static void seeds_and_streams_are_apart(void **state) {
    (void)state;
    const uint64_t pairs[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 1}, {1, 2}, {UINT64_MAX, 0}};
    enum { PAIRS = sizeof pairs / sizeof pairs[0], DRAWS = 20000 };
    for (int i = 0; i < PAIRS; i++) {
        for (int j = i + 1; j < PAIRS; j++) {
            pf_rng a, b;
            pf_rng_seed(&a, pairs[i][0], pairs[i][1]);
            pf_rng_seed(&b, pairs[j][0], pairs[j][1]);
            double sum = 0;
            for (int n = 0; n < DRAWS; n++)
                sum += (pf_rng_uniform(&a) - 0.5) * (pf_rng_uniform(&b) - 0.5);
            near(sum / DRAWS, 0, 1.0 / 12 / sqrt(DRAWS));
        }
    }
}

static void uniforms_fill_the_unit_interval(void **state) {
    (void)state;
    pf_rng rng;
    pf_rng_seed(&rng, 1, 0);
    double sum = 0, squares = 0, low = 1, high = 0;
    for (int i = 0; i < N; i++) {
        double u = pf_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
        low = u < low ? u : low;
        high = u > high ? u : high;
    }
    near(sum / N, 0.5, sqrt(1.0 / 12 / N));
    near(squares / N, 1.0 / 3, sqrt((1.0 / 5 - 1.0 / 9) / N));
    assert_true(low < 20.0 / N && high > 1 - 20.0 / N);
}

/* E x = 0, E x^2 = 1, E x^3 = 0, E x^4 = 3, with variances 1, 2, 15, 96; and P(|x| < 1). Two
 * neighbours come from one polar draw and must not be correlated. */
static void normals_have_the_moments_of_normals(void **state) {
    (void)state;
    pf_rng rng;
    pf_rng_seed(&rng, 2, 0);
    double moment[5] = {0}, neighbours = 0, before = 0;
    int inside = 0;
    for (int i = 0; i < N; i++) {
        double x = pf_rng_normal(&rng), power = 1;
        assert_true(isfinite(x));
        for (int k = 1; k <= 4; k++) moment[k] += power *= x;
        neighbours += x * before;
        before = x;
        inside += fabs(x) < 1;
    }
    near(moment[1] / N, 0, sqrt(1.0 / N));
    near(moment[2] / N, 1, sqrt(2.0 / N));
    near(moment[3] / N, 0, sqrt(15.0 / N));
    near(moment[4] / N, 3, sqrt(96.0 / N));
    near(neighbours / N, 0, sqrt(1.0 / N));
    double p = erf(sqrt(0.5));
    near((double)inside / N, p, sqrt(p * (1 - p) / N));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_numbers_are_xoshiro256_starstar),
        cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(seeds_and_streams_are_apart),
        cmocka_unit_test(uniforms_fill_the_unit_interval),
        cmocka_unit_test(normals_have_the_moments_of_normals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
