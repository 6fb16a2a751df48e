/* floor 6.2 - test of the kernels: every table this machine runs against the plain one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels.h"
#include "memory.h"
#include "quant.h"
#include "rng.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 4096, GUARD = 16 };

static const pf_type block_types[] = {PF_Q4_0, PF_Q4_1, PF_Q5_0, PF_Q5_1, PF_Q8_0,
                                      PF_Q2_K, PF_Q3_K, PF_Q4_K, PF_Q5_K, PF_Q6_K};
enum { N_BLOCK_TYPES = sizeof block_types / sizeof block_types[0] };

static pf_rng rng;

static float normal(void) { return (float)pf_rng_normal(&rng); }

static float *floats(size_t n) {
    float *x = pf_calloc(n + 1, sizeof *x, "floats", NULL);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = normal();
    return x;
}

/* Runs test(kernels) for every table but the plain one. */
static void for_each_table(void (*test)(const pf_kernels *fast)) {
    size_t count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    assert_true(count >= 1 && strcmp(tables[0]->name, "plain") == 0);
    for (size_t i = 0; i < count; i++) {
        pf_rng_seed(&rng, 11, 0);
        test(tables[i]);
    }
}

static const pf_kernels *plain(void) {
    size_t count;
    return pf_kernels_all(&count)[0];
}

static void close_to(const char *what, size_t n, float got, double expected, double tolerance) {
    if (fabs(got - expected) <= tolerance) return;
    fail_msg("%s, n = %zu: %.9g instead of %.9g, off by more than %g", what, n, (double)got, expected,
             tolerance);
}

/* A place for n floats at an odd address, with guards that must not be written. */
typedef struct {
    float *block, *x;
    size_t n;
} guarded;

static guarded guarded_new(size_t n) {
    guarded g = {floats(n + 2 * GUARD + 1), NULL, n};
    g.x = (float *)(void *)((char *)(g.block + GUARD) + 4 * (n % 3));
    memset(g.block, 0x5a, (n + 2 * GUARD) * sizeof *g.block);
    return g;
}

static void guarded_free(guarded g) {
    const uint8_t *bytes = (const uint8_t *)g.block, *from = (const uint8_t *)g.x;
    const uint8_t *end = bytes + (g.n + 2 * GUARD) * sizeof(float);
    for (const uint8_t *p = bytes; p < end; p++)
        if (p < from || p >= from + g.n * sizeof(float)) assert_int_equal(*p, 0x5a);
    pf_free(g.block);
}

/* ---- vectors ---- */

static void vectors(const pf_kernels *fast) {
    for (size_t n = 1; n <= 130; n++) {
        float *a = floats(n + 3), *b = floats(n + 3);
        const float *x = a + n % 3, *y = b + n % 2; /* no longer aligned */
        double exact = 0, magnitude = 0;
        for (size_t i = 0; i < n; i++) {
            exact += (double)x[i] * (double)y[i];
            magnitude += fabs((double)x[i] * (double)y[i]);
        }
        close_to("dot", n, fast->dot(x, y, n), exact, magnitude * 1e-6);
        assert_true(fast->max(x, n) == plain()->max(x, n));

        guarded g = guarded_new(n);
        memcpy(g.x, y, n * sizeof *y);
        fast->axpy(g.x, 0.7f, x, n);
        for (size_t i = 0; i < n; i++)
            close_to("axpy", n, g.x[i], (double)y[i] + (double)0.7f * (double)x[i], 1e-6);
        memcpy(g.x, y, n * sizeof *y);
        fast->scale(g.x, 0.7f, n);
        for (size_t i = 0; i < n; i++) assert_true(g.x[i] == 0.7f * y[i]);
        guarded_free(g);
        pf_free(a);
        pf_free(b);
    }
}

static void norms_and_swiglu(const pf_kernels *fast) {
    for (size_t n = 1; n <= 130; n++) {
        float *x = floats(n), *w = floats(n), *bias = floats(n), *expected = floats(n);
        for (int what = 0; what < 4; what++) {
            guarded g = guarded_new(n);
            memcpy(g.x, x, n * sizeof *x); /* in place */
            memcpy(expected, x, n * sizeof *x);
            if (what == 0) {
                fast->rms_norm(g.x, g.x, w, 1e-5f, n);
                plain()->rms_norm(expected, x, w, 1e-5f, n);
            } else if (what < 3) {
                const float *shift = what == 1 ? bias : NULL;
                fast->layer_norm(g.x, g.x, w, shift, 1e-2f, n);
                plain()->layer_norm(expected, x, w, shift, 1e-2f, n);
            } else {
                g.x[0] = expected[0] = n % 2 ? -500.0f : 500.0f;
                fast->swiglu(g.x, w, n);
                plain()->swiglu(expected, w, n);
            }
            for (size_t i = 0; i < n; i++)
                close_to("norm or swiglu", n, g.x[i], (double)expected[i],
                         4e-6 * (fabs((double)expected[i]) + 1));
            guarded_free(g);
        }
        pf_free(x), pf_free(w), pf_free(bias), pf_free(expected);
    }
}

static void test_vectors(void **state) {
    (void)state;
    for_each_table(vectors);
}

static void test_norms_and_swiglu(void **state) {
    (void)state;
    for_each_table(norms_and_swiglu);
}

/* ---- exp ---- */

/* Distance from the exact value in units of the last place of the float nearest to it. */
static double ulps(float got, double exact) {
    int exponent;
    frexp(exact, &exponent);
    double ulp = ldexp(1, exponent - 24);
    return fabs((double)got - exact) / ulp;
}

static void exp_over_the_range(const pf_kernels *fast) {
    enum { N = 999 };
    float x[N], y[N];
    double worst = 0;
    for (double from = -87; from < 88; from += 0.05) {
        size_t n = 0;
        for (; n < N; n++) {
            x[n] = (float)(from + 0.05 * pf_rng_uniform(&rng));
            if (x[n] < -87 || x[n] > 88) x[n] = 0;
        }
        double sum = 0;
        float got = fast->exp_sum(y, x, 0, n);
        for (size_t i = 0; i < n; i++) {
            double exact = exp((double)x[i]), off = ulps(y[i], exact);
            if (off > worst) worst = off;
            sum += exact;
        }
        if (from < 80) close_to("exp_sum", n, got, sum, sum * 1e-5); /* beyond, the sum may overflow */
    }
    if (worst > 2) fail_msg("%s: exp is off by %.2f ulp", fast->name, worst);
    print_message("%s: exp within %.2f ulp\n", fast->name, worst);
}

static void exp_at_the_edges(const pf_kernels *fast) {
    const float x[9] = {-87.0001f, -88, -1000, -INFINITY, -FLT_MAX, NAN, 0, 88, -87};
    float y[9];
    fast->exp_sum(y, x, 0, 9);
    for (int i = 0; i < 5; i++) assert_true(y[i] == 0);
    assert_true(isnan(y[5]));
    assert_true(y[6] == 1);
    assert_true(ulps(y[7], exp(88)) <= 2 && ulps(y[8], exp(-87)) <= 2);
    for (size_t n = 1; n <= 70; n++) { /* in place, shifted, tails not summed */
        float *a = floats(n);
        guarded g = guarded_new(n);
        memcpy(g.x, a, n * sizeof *a);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += exp((double)(a[i] - 3.0f));
        close_to("exp_sum", n, fast->exp_sum(g.x, g.x, 3, n), sum, sum * 1e-6);
        guarded_free(g);
        pf_free(a);
    }
}

static void test_exp(void **state) {
    (void)state;
    for_each_table(exp_over_the_range);
    for_each_table(exp_at_the_edges);
}

/* ---- FAVOR+ ---- */

static void favor(const pf_kernels *fast) {
    const size_t dims[] = {1, 7, 8, 15, 16, 17, 32, 33, 48, 63, 64, 65, 80, 96, 128, 130};
    for (size_t j = 0; j < sizeof dims / sizeof dims[0]; j++) {
        for (size_t G = 0; G <= 9; G++) {
            size_t D = dims[j], M = 1 + pf_rng_u64(&rng) % 40;
            float *S = floats(M * D), *z = floats(M), *phi_k = floats(M), *v = floats(D);
            float *phi_q = floats(G * M), *out = floats(G * D), den[9];
            guarded fast_S = guarded_new(M * D), fast_z = guarded_new(M), fast_out = guarded_new(G * D);
            guarded fast_den = guarded_new(G);
            memcpy(fast_S.x, S, M * D * sizeof *S);
            memcpy(fast_z.x, z, M * sizeof *z);
            for (int step = 0; step < 3; step++) {
                const float *k = step == 1 ? NULL : phi_k;
                float decay = step == 2 ? 0.25f : 1;
                plain()->favor_step(S, z, M, D, decay, k, k ? v : NULL, phi_q, G, out, den);
                fast->favor_step(fast_S.x, fast_z.x, M, D, decay, k, k ? v : NULL, phi_q, G, fast_out.x,
                                 fast_den.x);
                for (size_t i = 0; i < M * D; i++)
                    close_to("S", D, fast_S.x[i], (double)S[i], 1e-5);
                for (size_t i = 0; i < M; i++) close_to("z", M, fast_z.x[i], (double)z[i], 1e-5);
                for (size_t i = 0; i < G * D; i++)
                    close_to("out", D, fast_out.x[i], (double)out[i], 1e-4);
                for (size_t i = 0; i < G; i++) close_to("den", G, fast_den.x[i], (double)den[i], 1e-4);
            }
            guarded_free(fast_S), guarded_free(fast_z), guarded_free(fast_out), guarded_free(fast_den);
            pf_free(S), pf_free(z), pf_free(phi_k), pf_free(v), pf_free(phi_q), pf_free(out);
        }
    }
}

static void test_favor_step(void **state) {
    (void)state;
    for_each_table(favor);
}

/* ---- int8 activations ---- */

typedef struct {
    float x[MAX], scale[MAX / 32], sum[MAX / 32];
    int8_t q[MAX];
} activation_storage;

static pf_activation activation_of(activation_storage *s) {
    return (pf_activation){s->x, s->q, s->scale, s->sum};
}

static void fill_activation(activation_storage *s, size_t n) {
    for (size_t i = 0; i < n; i++) s->x[i] = normal() * expf(3 * sinf((float)i / 50));
}

static void quantizes(const pf_kernels *fast) {
    static activation_storage a, b;
    const float extremes[] = {0, -0.0f, FLT_MAX, -FLT_MAX, 1e-40f, INFINITY, NAN, 0.5f, 127, -127};
    for (int round = 0; round < 200; round++) {
        size_t n = 32 * (1 + pf_rng_u64(&rng) % 20);
        fill_activation(&a, n);
        if (round % 4 == 1) /* ties */
            for (size_t i = 0; i < n; i++) a.x[i] = (float)(i % 32 * 8 + 7) / 2;
        if (round % 4 == 2)
            for (size_t i = 0; i < n; i++) a.x[i] = extremes[pf_rng_u64(&rng) % 10];
        if (round % 4 == 3)
            for (size_t i = 0; i < n; i++) a.x[i] = i % 64 < 32 ? 0 : a.x[i] * 1e-39f;
        memcpy(b.x, a.x, n * sizeof *a.x);
        memset(b.q, 99, n);
        plain()->quantize_activation(activation_of(&a), n);
        fast->quantize_activation(activation_of(&b), n);
        assert_memory_equal(a.q, b.q, n);
        for (size_t i = 0; i < n / 32; i++) {
            assert_true(a.scale[i] == b.scale[i]);
            assert_true(a.sum[i] == b.sum[i] || (isnan(a.sum[i]) && isnan(b.sum[i])));
        }
    }
}

static void test_quantize_activation(void **state) {
    (void)state;
    for_each_table(quantizes);
    static activation_storage a;
    fill_activation(&a, 64);
    pf_activation activation = activation_of(&a);
    plain()->quantize_activation(activation, 64);
    for (size_t i = 0; i < 64; i++)
        close_to("scale * q", 64, a.scale[i / 32] * (float)a.q[i], (double)a.x[i],
                 0.5001 * (double)a.scale[i / 32]);
}

/* ---- weights ---- */

/* Rows of any type with finite values: random bytes, but fp16 scales of a sane size. */
static void *random_rows(pf_type type, size_t rows, size_t cols) {
    size_t bytes = rows * pf_row_bytes(type, cols);
    uint8_t *data = pf_calloc(bytes + 1, 1, "weights", NULL);
    uint8_t *out = data + 1; /* misaligned */
    float *values = floats(rows * cols);
    if (!pf_quantize_row(type, values, out, rows * cols)) {
        const pf_type_info *info = pf_type_get(type);
        for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)pf_rng_u64(&rng);
        for (size_t block = 0; block < bytes; block += info->block_bytes)
            for (size_t j = 0; j < 2; j++) {
                size_t at = type == PF_Q2_K   ? 80 + 2 * j
                            : type == PF_Q3_K ? 108
                            : type == PF_Q6_K ? 208
                            : type == PF_Q5_0 ? 0
                                              : 2 * j;
                uint16_t half = pf_f32_to_f16(normal() * 0.05f);
                memcpy(out + block + at, &half, sizeof half);
            }
    }
    pf_free(values);
    return data;
}

static void matvec_of(const pf_kernels *fast, pf_type type, size_t rows, size_t cols) {
    static activation_storage a;
    void *data = random_rows(type, rows, cols);
    pf_matrix W = {type, rows, cols, (char *)data + 1};
    fill_activation(&a, cols);
    pf_activation activation = activation_of(&a);
    if (cols % 32 == 0) plain()->quantize_activation(activation, cols);
    float *expected = floats(rows), *magnitude = floats(rows), *row = floats(cols);
    size_t begin = pf_rng_u64(&rng) % rows, end = begin + 1 + pf_rng_u64(&rng) % (rows - begin);
    for (size_t r = begin; r < end; r++) { /* rounding is relative to what was added up */
        pf_dequantize_row(type, (char *)data + 1 + r * pf_row_bytes(type, cols), row, cols);
        magnitude[r] = 0;
        for (size_t i = 0; i < cols; i++) magnitude[r] += fabsf(row[i] * a.x[i]);
    }
    for (int quantised = cols % 32 == 0; quantised >= 0; quantised--) {
        if (!quantised) activation.q = NULL;
        plain()->matvec(W, activation, expected, begin, end);
        guarded y = guarded_new(rows);
        fast->matvec(W, activation, y.x, begin, end);
        for (size_t r = begin; r < end; r++)
            close_to(pf_type_get(type)->name, cols, y.x[r], (double)expected[r],
                     3e-6 * (double)magnitude[r] + 1e-6);
        const uint8_t *bytes = (const uint8_t *)y.x; /* rows that are not ours stay */
        for (size_t i = 0; i < rows * sizeof(float); i++)
            if (i / 4 < begin || i / 4 >= end) assert_int_equal(bytes[i], 0x5a);
        guarded_free(y);
    }
    pf_free(expected), pf_free(magnitude), pf_free(row), pf_free(data);
}

static void matvecs(const pf_kernels *fast) {
    const pf_type float_types[] = {PF_F32, PF_F16, PF_BF16};
    for (size_t cols = 1; cols <= 130; cols++)
        for (int i = 0; i < 3; i++) matvec_of(fast, float_types[i], 1 + cols % 11, cols);
    for (size_t i = 0; i < N_BLOCK_TYPES; i++) {
        size_t block = pf_type_get(block_types[i])->block_size;
        for (size_t blocks = 1; blocks * block <= 1536; blocks++)
            matvec_of(fast, block_types[i], 1 + blocks % 7, blocks * block);
    }
}

static void test_matvec(void **state) {
    (void)state;
    for_each_table(matvecs);
}

/* The largest integers of both sides: sums of pairs must not saturate. */
static void matvec_of_extremes(const pf_kernels *fast) {
    static activation_storage a;
    uint8_t row[34 * 2] = {0};
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int b = 0; b < 2; b++) {
            row[34 * b + 1] = 0x3c; /* d = 1 */
            memset(row + 34 * b + 2, sign < 0 ? 0x80 : 0x7f, 32);
        }
        for (int i = 0; i < 64; i++) a.x[i] = i % 3 ? 127 : 1;
        pf_activation activation = activation_of(&a);
        fast->quantize_activation(activation, 64);
        float y, expected;
        pf_matrix W = {PF_Q8_0, 1, 64, row};
        fast->matvec(W, activation, &y, 0, 1);
        plain()->matvec(W, activation, &expected, 0, 1);
        close_to("saturation", 64, y, (double)expected, 0.5);
    }
}

static void test_no_saturation(void **state) {
    (void)state;
    for_each_table(matvec_of_extremes);
}

static void dequantizes(const pf_kernels *fast) {
    for (size_t i = 0; i < N_BLOCK_TYPES + 3; i++) {
        const pf_type float_types[] = {PF_F32, PF_F16, PF_BF16};
        pf_type type = i < 3 ? float_types[i] : block_types[i - 3];
        for (size_t blocks = 1; blocks <= 40; blocks++) {
            size_t n = blocks * pf_type_get(type)->block_size;
            void *data = random_rows(type, 1, n);
            float *expected = floats(n);
            guarded g = guarded_new(n);
            pf_dequantize_row(type, (char *)data + 1, expected, n);
            fast->dequantize_row(type, (char *)data + 1, g.x, n);
            assert_memory_equal(g.x, expected, n * sizeof *expected);
            guarded_free(g);
            pf_free(expected), pf_free(data);
        }
    }
}

static void test_dequantize_row(void **state) {
    (void)state;
    for_each_table(dequantizes);
    size_t count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    for (size_t i = 0; i < count; i++) /* every half there is, NaN included */
        for (uint32_t bits = 0; bits < 0x10000; bits += 8) {
            uint16_t halves[8];
            float expected[8], got[8];
            for (uint32_t j = 0; j < 8; j++) halves[j] = (uint16_t)(bits + j);
            pf_dequantize_row(PF_F16, halves, expected, 8);
            tables[i]->dequantize_row(PF_F16, halves, got, 8);
            assert_memory_equal(got, expected, sizeof got);
        }
}

static void test_the_choice_is_one_of_the_tables(void **state) {
    (void)state;
    size_t count, found = 0;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    for (size_t i = 0; i < count; i++) found += tables[i] == pf_kernels_get();
    assert_int_equal(found, 1);
    print_message("%zu tables, the best is %s\n", count, tables[count - 1]->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_norms_and_swiglu),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_favor_step),
        cmocka_unit_test(test_quantize_activation),
        cmocka_unit_test(test_matvec),
        cmocka_unit_test(test_no_saturation),
        cmocka_unit_test(test_dequantize_row),
        cmocka_unit_test(test_the_choice_is_one_of_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
