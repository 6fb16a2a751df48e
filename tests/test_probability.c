/* floor 6.1 - test_probability: softmax and KL divergence against sums in long double. */
#include "testing.h"

#include "probability.h"
#include "rng.h"

#include <math.h>

enum { N = 300 };

static void draw(float *logits, uint64_t seed, double spread, double offset) {
    pf_rng rng;
    pf_rng_seed(&rng, seed, 0);
    for (int i = 0; i < N; i++) logits[i] = (float)(spread * pf_rng_normal(&rng) + offset);
}

static void kl_is_that_of_the_definition(void **state) {
    (void)state;
    float x[N], y[N], weights[N];
    static const double offsets[] = {0, 300,
                                     -300}; /* exp() of these overflows float, or vanishes */
    for (uint64_t i = 0; i < 3; i++) {
        draw(x, 1 + i, 3, offsets[i]);
        draw(y, 9 + i, 2, -offsets[i]);
        pf_softmax p = pf_softmax_of(x, N, weights), q = pf_softmax_of(y, N, NULL);
        long double sum_x = 0, sum_y = 0, kl = 0;
        for (int j = 0; j < N; j++) sum_x += expl((long double)x[j]);
        for (int j = 0; j < N; j++) sum_y += expl((long double)y[j]);
        assert_true(fabs(p.log_sum - (double)logl(sum_x)) < 1e-12 * fabs(p.log_sum));
        for (int j = 0; j < N; j++) {
            long double p_j = expl((long double)x[j]) / sum_x;
            kl += p_j * (logl(p_j) - (long double)y[j] + logl(sum_y));
            assert_true(fabs((double)weights[j] / p.weight_sum - (double)p_j) < 1e-7);
        }
        assert_true((double)kl > 1);
        assert_true(fabs(pf_kl_divergence(&p, &q) - (double)kl) < 1e-5 * (double)kl);
    }
}

static void equal_distributions_do_not_diverge(void **state) {
    (void)state;
    float x[N], y[N], weights[N];
    draw(x, 1, 3, 0);
    for (int i = 0; i < N; i++) y[i] = x[i] + 64; /* the same distribution, but for rounding */
    pf_softmax p = pf_softmax_of(x, N, weights), q = pf_softmax_of(y, N, NULL);
    assert_true(pf_kl_divergence(&p, &p) == 0);
    assert_true(pf_kl_divergence(&p, &q) >= 0 && pf_kl_divergence(&p, &q) < 1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kl_is_that_of_the_definition),
        cmocka_unit_test(equal_distributions_do_not_diverge),
    };
    return cmocka_run_group_tests_name("probability", tests, NULL, NULL);
}
