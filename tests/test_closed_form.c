/* floor 6.1 - tests of the closed form: centring, balancing, the proposal; and the head budget. */
#include "testing.h"

#include "closed_form.h"
#include "head_budget.h"
#include "linear_algebra.h"
#include "projection.h"
#include "random_features.h"
#include "rng.h"

#include <math.h>
#include <string.h>

enum { D = 6, N = 4000 };

static float q[N * D], k[N * D]; /* correlated, with means, of very different scales */
static float a[D], b[D], A[D], A_q[D * D], A_k[D * D];
static pf_closed_form form = {a, b, A, A_q, A_k, 0, 0, 0, 0};

static void draw(pf_rng *rng, float *rows, float size) {
    float mix[D][D], mean[D];
    for (int i = 0; i < D * D; i++) (&mix[0][0])[i] = (float)pf_rng_normal(rng) * size;
    for (int i = 0; i < D; i++) mean[i] = (float)pf_rng_normal(rng) * size;
    for (int n = 0; n < N; n++)
        for (int j = 0; j < D; j++) {
            rows[n * D + j] = mean[j];
            for (int i = 0; i < D; i++)
                rows[n * D + j] += (float)pf_rng_normal(rng) * mix[i][j] * 0.4f;
        }
}

static int calibrate(void **state) {
    (void)state;
    pf_rng rng;
    pf_error error = {""};
    pf_rng_seed(&rng, 7, 0);
    draw(&rng, q, 1.0f);
    draw(&rng, k, 0.25f);
    return !pf_closed_form_fit(q, N, k, N, D, &form, &error);
}

static void map_row(const float *x, const float *center, const float *map, float *y) {
    for (int i = 0; i < D; i++) {
        y[i] = 0;
        for (int j = 0; j < D; j++) y[i] += map[i * D + j] * (x[j] - center[j]);
    }
}

static double dot(const float *x, const float *y) {
    double sum = 0;
    for (int i = 0; i < D; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

static void covariances(const float *rows, const float *center, const float *map, double *cov) {
    memset(cov, 0, D * D * sizeof *cov);
    for (int n = 0; n < N; n++) {
        float y[D];
        map_row(rows + n * D, center, map, y);
        for (int i = 0; i < D * D; i++) cov[i] += (double)y[i / D] * (double)y[i % D] / N;
    }
}

static void maps_are_each_others_inverse(void **state) {
    (void)state;
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int r = 0; r < D; r++) sum += (double)A_q[r * D + i] * (double)A_k[r * D + j];
            assert_true(fabs(sum - (i == j)) < 1e-4);
        }
}

static void balanced_covariances_are_one_diagonal_matrix(void **state) {
    (void)state;
    double cov_q[D * D], cov_k[D * D], Z = 0;
    covariances(q, a, A_q, cov_q);
    covariances(k, b, A_k, cov_k);
    for (int i = 0; i < D * D; i++) {
        assert_true(fabs(cov_q[i] - cov_k[i]) < 1e-3 * cov_q[0]);
        if (i / D != i % D) assert_true(fabs(cov_q[i]) < 1e-3 * cov_q[0]);
    }
    for (int i = 0; i < D; i++) {
        double f = cov_q[i * D + i] + cov_k[i * D + i]; /* the proposal of closed_form.h */
        double want = (1 - 2 * f - sqrt((2 * f + 1) * (2 * f + 1) + 8 * f)) / 16;
        assert_true(fabs((double)A[i] - want) < 1e-3);
        Z += f;
    }
    assert_true(fabs(form.Z_after - Z) < 1e-2 * Z);
    assert_true(form.Z_after < form.Z_before && form.variance_after < form.variance_before);
}

/* softmax_j(q.k_j) = softmax_j(q'.k'_j + a.(k_j - b)), for every q. */
static void rows_of_softmax_do_not_change(void **state) {
    (void)state;
    for (int n = 0; n < 20; n++) {
        float x[D], y[D], difference[D];
        double first = 0;
        map_row(q + n * D, a, A_q, x);
        for (int j = 0; j < 50; j++) {
            map_row(k + j * D, b, A_k, y);
            for (int i = 0; i < D; i++) difference[i] = k[j * D + i] - b[i];
            double constant = dot(q + n * D, k + j * D) - dot(x, y) - dot(a, difference);
            if (j == 0) first = constant;
            assert_true(fabs(constant - first) < 1e-4); /* the same for all keys of the row */
        }
    }
}

/* With the proposal too, the mean over many draws of phi(q').phi(k') is exp(q'.k'). */
static void the_calibrated_estimator_is_unbiased(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    float x[D], y[D], omega[D * D], bias[D], phi_x[D], phi_y[D], scale_x, scale_y;
    float scratch[8 * D];
    double draw_scratch[D * D], sum = 0, squares = 0;
    map_row(q + 3 * D, a, A_q, x);
    map_row(k + 5 * D, b, A_k, y);
    for (int i = 0; i < D; i++)
        x[i] *= 0.5f, y[i] *= 0.5f; /* light tails, so that the test is sharp */
    pf_features f = {
        .map = PF_MAP_FAVOR_PP, .D = D, .M = D, .input_scale = 1, .omega = omega, .bias = bias};
    pf_rng rng;
    pf_rng_seed(&rng, 11, 0);
    for (int n = 0; n < DRAWS; n++) {
        pf_projection_draw(&rng, PF_PROJECTION_ORTHOGONAL, D, D, omega, draw_scratch);
        pf_projection_propose(D, D, A, omega, bias);
        pf_features_apply(&f, x, D, 1, phi_x, &scale_x, scratch);
        pf_features_apply(&f, y, D, 1, phi_y, &scale_y, scratch);
        double estimate = dot(phi_x, phi_y) * exp((double)scale_x + (double)scale_y);
        sum += estimate;
        squares += estimate * estimate;
    }
    double mean = sum / DRAWS, error = sqrt((squares / DRAWS - mean * mean) / DRAWS);
    assert_true(error < 0.02 * exp(dot(x, y)));
    assert_true(fabs(mean - exp(dot(x, y))) < 4 * error);
}

static void a_dimension_without_variance_is_survived(void **state) {
    (void)state;
    static float flat_q[64 * D], flat_k[64 * D];
    for (int i = 0; i < 64 * D; i++) {
        flat_q[i] = i % D == 2 ? 1 : q[i];
        flat_k[i] = i % D == 4 ? 0 : k[i];
    }
    float c[3 * D], maps[2 * D * D];
    pf_closed_form flat = {c, c + D, c + 2 * D, maps, maps + D * D, 0, 0, 0, 0};
    pf_error error = {""};
    assert_true(pf_closed_form_fit(flat_q, 64, flat_k, 64, D, &flat, &error));
    for (int i = 0; i < 2 * D * D; i++) assert_true(isfinite(maps[i]));
    flat_q[5] = NAN;
    assert_false(pf_closed_form_fit(flat_q, 64, flat_k, 64, D, &flat, &error));
    assert_non_null(strstr(error.message, "finite"));
}

static void a_decomposition_multiplies_back(void **state) {
    (void)state;
    enum { SIZE = 5 };
    double M[SIZE * SIZE], copy[SIZE * SIZE], U[SIZE * SIZE], s[SIZE], Vt[SIZE * SIZE], work[256];
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    for (int i = 0; i < SIZE * SIZE; i++) M[i] = copy[i] = pf_rng_normal(&rng);
    assert_true(pf_svd_work(SIZE) <= 256);
    assert_true(pf_svd(M, SIZE, U, s, Vt, work));
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            double sum = 0;
            for (int r = 0; r < SIZE; r++) sum += U[i * SIZE + r] * s[r] * Vt[r * SIZE + j];
            assert_true(fabs(sum - copy[i * SIZE + j]) < 1e-12);
        }
}

/* Two heads and four choices, worked out by hand. Head 1 gains 8 for its first unit of cost. Head 0
 * gains 3 per unit for two units at once, and nothing for one. */
static void the_budget_goes_where_it_pays_most(void **state) {
    (void)state;
    const double cost[] = {1, 2, 3, 5}, error[] = {10, 10, 4, 3.9, 9, 1, 0.5, 0.4};
    pf_head_choices choices = {2, 4, cost, error};
    size_t chosen[2];
    pf_head_budget_choose(&choices, 2, chosen);
    assert_true(chosen[0] == 0 && chosen[1] == 0);
    pf_head_budget_choose(&choices, 3, chosen);
    assert_true(chosen[0] == 0 && chosen[1] == 1);
    pf_head_budget_choose(&choices, 5, chosen);
    assert_true(chosen[0] == 2 && chosen[1] == 1);
    pf_head_budget_choose(&choices, 6, chosen);
    assert_true(chosen[0] == 2 && chosen[1] == 2);
    pf_head_budget_choose(&choices, 100, chosen);
    assert_true(chosen[0] == 3 && chosen[1] == 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_each_others_inverse),
        cmocka_unit_test(balanced_covariances_are_one_diagonal_matrix),
        cmocka_unit_test(rows_of_softmax_do_not_change),
        cmocka_unit_test(the_calibrated_estimator_is_unbiased),
        cmocka_unit_test(a_dimension_without_variance_is_survived),
        cmocka_unit_test(a_decomposition_multiplies_back),
        cmocka_unit_test(the_budget_goes_where_it_pays_most),
    };
    return cmocka_run_group_tests_name("closed form", tests, calibrate, NULL);
}
