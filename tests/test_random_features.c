/* floor 6.1 - tests of random features: closed forms of mean and variance, and golden values. */
#include "testing.h"

#include "memory.h"
#include "projection.h"
#include "random_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D = 8, MAX_M = 64 };

/* Two vectors of lengths |x|, |y| whose sum has squared length Z, off the axes. */
static void make_pair(size_t d, double length_x, double length_y, double Z, float *x, float *y) {
    double dot = (Z - length_x * length_x - length_y * length_y) / 2;
    double cosine = dot / (length_x * length_y), sine = sqrt(1 - cosine * cosine);
    double u[64], v[64], uu = 0, uv = 0, vv = 0;
    for (size_t i = 0; i < d; i++) u[i] = 1 + (double)(i % 3), uu += u[i] * u[i];
    for (size_t i = 0; i < d; i++) v[i] = i % 2 ? -1 : 2.5, uv += u[i] * v[i];
    for (size_t i = 0; i < d; i++) v[i] -= uv / uu * u[i], vv += v[i] * v[i];
    for (size_t i = 0; i < d; i++) {
        x[i] = (float)(length_x * u[i] / sqrt(uu));
        y[i] = (float)(length_y * (cosine * u[i] / sqrt(uu) + sine * v[i] / sqrt(vv)));
    }
}

typedef struct moments {
    double mean, mse, mse_error; /* of the estimate around `truth`; standard error of the mse */
} moments;

typedef struct experiment {
    pf_map_kind map;
    pf_projection_kind projection;
    size_t d, M;
    const float *A; /* favor++ */
    int draws;
} experiment;

/* Estimates exp(x.y) (or what the map estimates) `draws` times. */
static moments estimate(experiment e, const float *x, const float *y, double truth) {
    size_t m = pf_map_projections(e.map, e.M);
    float omega[MAX_M * 64], bias[MAX_M], phi[2][MAX_M], scale[2];
    float *scratch = malloc(pf_features_scratch(e.d, e.M, 1) * sizeof *scratch);
    double *draw_scratch = malloc(e.d * e.d * sizeof *draw_scratch);
    double sum = 0, squares = 0, fourths = 0;
    for (int i = 0; i < e.draws; i++) {
        pf_rng rng;
        pf_rng_seed(&rng, 42, (uint64_t)i);
        pf_projection_draw(&rng, e.projection, m, e.d, omega, draw_scratch);
        for (size_t r = 0; r < m; r++)
            bias[r] = (float)(2 * 3.14159265358979 * pf_rng_uniform(&rng));
        if (e.A) pf_projection_propose(m, e.d, e.A, omega, bias);
        pf_features features = {.map = e.map, .D = e.d, .M = e.M, .input_scale = 1, .omega = omega};
        features.bias = e.A || e.map == PF_MAP_TRIG_OFFSET ? bias : NULL;
        if (e.map == PF_MAP_RELU) features.epsilon = 1e-3f;
        pf_features_apply(&features, x, e.d, 1, phi[0], &scale[0], scratch);
        pf_features_apply(&features, y, e.d, 1, phi[1], &scale[1], scratch);
        double dot = 0;
        for (size_t r = 0; r < e.M; r++) dot += (double)phi[0][r] * (double)phi[1][r];
        double value = dot * exp((double)scale[0] + (double)scale[1]), error = value - truth;
        sum += value;
        squares += error * error;
        fourths += error * error * error * error;
    }
    free(scratch);
    free(draw_scratch);
    double n = e.draws, mse = squares / n;
    return (moments){sum / n, mse, sqrt((fourths / n - mse * mse) / n)};
}

static void check(experiment e, const float *x, const float *y, double truth, double variance) {
    moments got = estimate(e, x, y, truth);
    double mean_error = sqrt(variance / e.draws);
    print_message("%s %s: mean %.5f (%.5f), variance %.6f (%.6f +- %.6f)\n", pf_map_name(e.map),
                  pf_projection_name(e.projection), got.mean, truth, got.mse, variance,
                  got.mse_error);
    assert_true(fabs(got.mean - truth) < 4 * mean_error);
    assert_true(fabs(got.mse - variance) < 5 * got.mse_error + 1e-9);
    assert_true(got.mse_error < 0.1 * variance); /* or the test would prove nothing */
}

static double dot(const float *x, const float *y, size_t d) {
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

static void maps_have_their_closed_forms(void **state) {
    (void)state;
    float x[D], y[D];
    make_pair(D, 0.5, 0.6, 0.9, x, y);
    double xx = dot(x, x, D), yy = dot(y, y, D), xy = dot(x, y, D), Z = xx + yy + 2 * xy,
           SM = exp(xy);
    double away = exp(-(xx + yy - 2 * xy)), norms = exp(xx + yy), m = 16;
    experiment e = {.projection = PF_PROJECTION_IID, .d = D, .draws = 40000};

    e.map = PF_MAP_POSITIVE, e.M = 16;
    check(e, x, y, SM, SM * SM * (exp(Z) - 1) / m);
    e.map = PF_MAP_HYPERBOLIC, e.M = 32;
    check(e, x, y, SM, SM * SM * (1 - exp(-Z)) * (exp(Z) - 1) / (2 * m));
    e.map = PF_MAP_TRIG, e.M = 32;
    check(e, x, y, SM, norms * (1 - away) * (1 - away) / (2 * m));
    e.map = PF_MAP_TRIG_OFFSET, e.M = 16;
    check(e, x, y, SM, norms * (0.5 + (1 - away) * (1 - away) / 2) / m);
}

static void favor_plus_plus_has_its_closed_form(void **state) {
    (void)state;
    float x[D], y[D], A[D];
    make_pair(D, 0.7, 0.7, 1.0, x, y);
    double Z = 1.0, SM = exp(dot(x, y, D)), f = Z / D;
    double a = (1 - 2 * f - sqrt((2 * f + 1) * (2 * f + 1) + 8 * f)) / 16;
    for (size_t i = 0; i < D; i++) A[i] = (float)a;
    double variance =
        SM * SM * (pow(1 - 4 * a, D) * pow(1 - 8 * a, -D / 2.0) * exp(Z / (1 - 8 * a)) - 1) / 16;
    experiment e = {PF_MAP_FAVOR_PP, PF_PROJECTION_IID, D, 16, A, 40000};
    check(e, x, y, SM, variance);
    assert_true(variance < SM * SM * (exp(Z) - 1) / 16);
}

/* The other kernels: relu in expectation, elu exactly. */
static void relu_and_elu_estimate_their_kernels(void **state) {
    (void)state;
    float x[D], y[D];
    make_pair(D, 0.9, 1.1, 2.5, x, y);
    double lx = sqrt(dot(x, x, D)), ly = sqrt(dot(y, y, D)), t = acos(dot(x, y, D) / (lx * ly));
    double pi = 3.14159265358979, eps = 1e-3;
    double mean = lx * ly * (sin(t) + (pi - t) * cos(t)) / (2 * pi) +
                  eps * (lx + ly) / sqrt(2 * pi) + eps * eps;
    experiment e = {PF_MAP_RELU, PF_PROJECTION_ORTHOGONAL, D, 16, NULL, 40000};
    moments got = estimate(e, x, y, mean);
    assert_true(fabs(got.mean - mean) < 4 * sqrt(got.mse / e.draws));

    double elu = 0;
    for (size_t i = 0; i < D; i++) {
        double a = x[i] > 0 ? (double)x[i] + 1 : exp((double)x[i]);
        elu += a * (y[i] > 0 ? (double)y[i] + 1 : exp((double)y[i]));
    }
    e = (experiment){PF_MAP_ELU, PF_PROJECTION_IID, D, D, NULL, 1};
    assert_true(fabs(estimate(e, x, y, elu).mean - elu) < 1e-5);
}

/* S(Z, d) of docs/favor.md, "Exact values": the mean product of two orthogonal features. */
static double orthogonal_series(double Z, double d) {
    double sum = 0;
    for (int a = 0; a < 60; a++) {
        for (int b = 0; b < 60; b++) {
            double log_term = (a + b) * log(Z / 2) + 2 * (-lgamma(d / 2)) + lgamma(d / 2 + a) +
                              lgamma(d / 2 + b) - lgamma(a + 1.0) - lgamma(b + 1.0) -
                              (lgamma(d / 2 + a + b) - lgamma(d / 2));
            sum += exp(log_term);
        }
    }
    return sum;
}

static double orthogonal_variance(double Z, double SM, double d, double m) {
    double iid = SM * SM * (exp(Z) - 1) / m;
    return iid + (1 - 1 / m) * SM * SM * exp(-Z) * (orthogonal_series(Z, d) - exp(Z));
}

static void orthogonal_rows_lower_the_variance_as_predicted(void **state) {
    (void)state;
    assert_true(fabs(orthogonal_series(0.5, 4) - 1.618407) < 1e-6);
    assert_true(fabs(orthogonal_variance(1.8394, 1.40563, 8, 8) - 1.0947) < 2e-3);
    assert_true(fabs(orthogonal_variance(2.2973, 1.27591, 16, 16) - 0.7373) < 2e-3);
    assert_true(fabs(orthogonal_variance(1.9465, 1.07063, 64, 64) - 0.0773) < 2e-3);

    float x[D], y[D];
    make_pair(D, 0.5, 0.5, 0.9, x, y);
    double SM = exp(dot(x, y, D)), variance = orthogonal_variance(0.9, SM, D, D);
    experiment e = {PF_MAP_POSITIVE, PF_PROJECTION_ORTHOGONAL, D, D, NULL, 60000};
    check(e, x, y, SM, variance);
    assert_true(variance < 0.93 * SM * SM * (exp(0.9) - 1) / D); /* far enough from iid to tell */
}

/* Without the sign fix features are biased along (1, ..., 1): 19 % at Z = 1, 31 % at Z = 3. */
static void orthogonal_rows_are_haar_along_the_diagonal(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        float x[D];
        for (size_t i = 0; i < D; i++) x[i] = (float)(sign * 0.5 / sqrt(D)); /* |2x|^2 = Z = 1 */
        double SM = exp(0.25), variance = orthogonal_variance(1, SM, D, D);
        experiment e = {PF_MAP_POSITIVE, PF_PROJECTION_ORTHOGONAL, D, D, NULL, 60000};
        moments got = estimate(e, x, x, SM);
        assert_true(fabs(got.mean - SM) < 4 * sqrt(variance / e.draws));
        assert_true(sqrt(variance / e.draws) < 0.01 * SM);
    }
}

static void rows_of_a_block_are_orthogonal_and_of_chi_length(void **state) {
    (void)state;
    enum { d = 24, m = 60 };
    float omega[m * d];
    double scratch[d * d], mean = 0;
    pf_rng rng;
    int draws = 200;
    for (int i = 0; i < draws; i++) {
        pf_rng_seed(&rng, 7, (uint64_t)i);
        pf_projection_draw(&rng, PF_PROJECTION_ORTHOGONAL, m, d, omega, scratch);
        for (size_t a = 0; a < m; a++) {
            mean += dot(omega + a * d, omega + a * d, d) / (draws * m);
            for (size_t b = a / d * d; b < a; b++)
                assert_true(fabs(dot(omega + a * d, omega + b * d, d)) < 1e-4);
        }
    }
    /* |w|^2 is chi-squared: mean d, variance 2 d */
    assert_true(fabs(mean - d) < 4 * sqrt(2.0 * d / (draws * m)));
}

static float *read_floats(const char *path, size_t *count) {
    need_file(path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    float *values = malloc(*count * sizeof *values);
    assert_int_equal(fread(values, sizeof *values, *count, file), *count);
    fclose(file);
    return values;
}

static void assert_close(float got, float want) {
    assert_true(fabsf(got - want) <= 1e-4f * fabsf(want) + 1e-7f);
}

/* Features as reference code makes them, to reproduce its goldens: keys stabilised by the maximum
 * over the whole text, epsilon inside, m^-1/2 outside. (The engine streams.) */
static void whole_text_features(const float *rows, size_t n, size_t d, size_t m, const float *omega,
                                bool keys, float epsilon, float *phi) {
    pf_features features = {
        .map = PF_MAP_POSITIVE, .D = d, .M = m, .omega = omega, .norm_inside = true};
    features.input_scale = (float)pow((double)d, -0.25);
    float *scale = malloc(n * sizeof *scale), top = -INFINITY;
    float *scratch = malloc(pf_features_scratch(d, m, n) * sizeof *scratch);
    pf_features_apply(&features, rows, d, n, phi, scale, scratch);
    for (size_t t = 0; t < n; t++) top = fmaxf(top, scale[t]);
    for (size_t i = 0; i < n * m; i++) {
        float stabiliser = keys ? expf(scale[i / m] - top) : 1;
        phi[i] = (phi[i] * stabiliser + epsilon) / sqrtf((float)m);
    }
    free(scale);
    free(scratch);
}

static void golden_softmax_kernel_features(void **state) {
    (void)state;
    size_t count, m = 10000;
    float *golden = read_floats("../shared/data/performer/favor_kernel_regression.f32", &count);
    assert_int_equal(count, 2 * D * 2 + m * D + 4 * m);
    const float *omega = golden + 4 * D, *want = omega + m * D;
    float *phi = malloc(2 * m * sizeof *phi);
    for (int side = 0; side < 2; side++) {
        whole_text_features(golden + side * 2 * D, 2, D, m, omega, side == 1, 1e-4f, phi);
        for (size_t i = 0; i < 2 * m; i++) assert_close(phi[i], want[(size_t)side * 2 * m + i]);
    }
    free(phi);
    free(golden);
}

/* Row i of out: causal (or not) linear attention by its O(n^2) definition. */
static void quadratic_attention(const float *phi_q, const float *phi_k, const float *v, size_t n,
                                size_t m, bool causal, double epsilon, float *out) {
    for (size_t i = 0; i < n; i++) {
        double den = 0, sums[D] = {0};
        for (size_t r = 0; r < m; r++) den += epsilon * (double)phi_q[i * m + r];
        for (size_t j = 0; j < (causal ? i + 1 : n); j++) {
            double weight = dot(phi_q + i * m, phi_k + j * m, m);
            den += weight;
            for (size_t d = 0; d < D; d++) sums[d] += weight * (double)v[j * D + d];
        }
        for (size_t d = 0; d < D; d++) out[i * D + d] = (float)(sums[d] / den);
    }
}

static void golden_attention_of_a_real_layer(void **state) {
    (void)state;
    enum { H = 8, T = 64, M = 64 };
    size_t count, rows = H * T * D, features = H * T * M;
    float *golden = read_floats("../shared/data/performer/favor_stories260K_layer0.f32", &count);
    assert_int_equal(count, 6 * rows + M * D + 2 * features);
    const float *omega = golden + 3 * rows, *want_q = omega + M * D, *want_k = want_q + features;
    const float *want_causal = want_k + features;
    float *phi_q = malloc(T * M * sizeof *phi_q), *phi_k = malloc(T * M * sizeof *phi_k);
    float out[T * D];
    for (size_t h = 0; h < H; h++) {
        const float *q = golden + h * T * D, *k = q + rows, *v = k + rows;
        whole_text_features(q, T, D, M, omega, false, 1e-4f, phi_q);
        whole_text_features(k, T, D, M, omega, true, 1e-4f, phi_k);
        for (size_t i = 0; i < T * M; i++) assert_close(phi_q[i], want_q[h * T * M + i]);
        for (size_t i = 0; i < T * M; i++) assert_close(phi_k[i], want_k[h * T * M + i]);
        quadratic_attention(phi_q, phi_k, v, T, M, true, 1e-6, out);
        for (size_t i = 0; i < T * D; i++) assert_close(out[i], want_causal[h * T * D + i]);
        quadratic_attention(phi_q, phi_k, v, T, M, false, 0, out);
        for (size_t i = 0; i < T * D; i++) assert_close(out[i], want_causal[rows + h * T * D + i]);
    }
    free(phi_q);
    free(phi_k);
    free(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_have_their_closed_forms),
        cmocka_unit_test(favor_plus_plus_has_its_closed_form),
        cmocka_unit_test(relu_and_elu_estimate_their_kernels),
        cmocka_unit_test(orthogonal_rows_lower_the_variance_as_predicted),
        cmocka_unit_test(orthogonal_rows_are_haar_along_the_diagonal),
        cmocka_unit_test(rows_of_a_block_are_orthogonal_and_of_chi_length),
        cmocka_unit_test(golden_softmax_kernel_features),
        cmocka_unit_test(golden_attention_of_a_real_layer),
    };
    return cmocka_run_group_tests_name("random_features", tests, NULL, NULL);
}
