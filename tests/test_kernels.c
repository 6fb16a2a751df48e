/* floor 6.2 - test of the kernels on floats: every table that this machine can run against the
 * plain one. */
#include "kernel_testing.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- vectors ---- */

static void vectors(const pf_kernels *fast) {
    for (size_t n = 1; n <= 130; n++) {
        float *a = floats(n + 3), *b = floats(n + 3);
        const float *x = a + n % 3, *y = b + n % 2; /* unaligned */
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

static double exact_gelu(double x, bool tanh_form) {
    return tanh_form ? 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
                     : 0.5 * x * erfc(-x / sqrt(2));
}

/* Mostly where gelu curves; every fourth value is far out. */
static void gelus(const pf_kernels *fast) {
    for (int form = 0; form < 2; form++)
        for (size_t n = 1; n <= 4000; n += n < 40 ? 1 : 1320) {
            guarded g = guarded_new(n);
            float *x = floats(n);
            for (size_t i = 0; i < n; i++) {
                if (i % 4 == 3) x[i] *= i % 8 == 3 ? 1e4f : 1e30f;
                g.x[i] = x[i];
            }
            (form ? fast->gelu_tanh : fast->gelu_erf)(g.x, n);
            for (size_t i = 0; i < n; i++)
                close_to(form ? "gelu_tanh" : "gelu_erf", n, g.x[i], exact_gelu(x[i], form),
                         3e-7 * fmax(1, fabs((double)x[i])));
            guarded_free(g);
            pf_free(x);
        }
    float odd[2] = {NAN, 0};
    fast->gelu_erf(odd, 2);
    assert_true(isnan(odd[0]) && odd[1] == 0);
    odd[0] = NAN;
    fast->gelu_tanh(odd, 2);
    assert_true(isnan(odd[0]) && odd[1] == 0);
}

static void test_vectors(void **state) {
    (void)state;
    for_each_table(vectors);
}

static void test_norms_and_swiglu(void **state) {
    (void)state;
    for_each_table(norms_and_swiglu);
}

static void test_gelus(void **state) {
    (void)state;
    for_each_table(gelus);
}

/* ---- exp ---- */

/* Distance from the exact value, in units of the last place of a float of its size. */
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
        if (from < 80)
            close_to("exp_sum", n, got, sum, sum * 1e-5); /* above, the sum may overflow */
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
    for (size_t n = 1; n <= 70; n++) { /* in place, with a shift; lanes after the n-th not summed */
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
            guarded fast_S = guarded_new(M * D), fast_z = guarded_new(M),
                    fast_out = guarded_new(G * D);
            guarded fast_den = guarded_new(G);
            memcpy(fast_S.x, S, M * D * sizeof *S);
            memcpy(fast_z.x, z, M * sizeof *z);
            for (int step = 0; step < 3; step++) {
                const float *k = step == 1 ? NULL : phi_k;
                float decay = step == 2 ? 0.25f : 1;
                plain()->favor_step(S, z, M, D, decay, k, k ? v : NULL, phi_q, G, out, den);
                fast->favor_step(fast_S.x, fast_z.x, M, D, decay, k, k ? v : NULL, phi_q, G,
                                 fast_out.x, fast_den.x);
                for (size_t i = 0; i < M * D; i++)
                    close_to("S", D, fast_S.x[i], (double)S[i], 1e-5);
                for (size_t i = 0; i < M; i++) close_to("z", M, fast_z.x[i], (double)z[i], 1e-5);
                for (size_t i = 0; i < G * D; i++)
                    close_to("out", D, fast_out.x[i], (double)out[i], 1e-4);
                for (size_t i = 0; i < G; i++)
                    close_to("den", G, fast_den.x[i], (double)den[i], 1e-4);
            }
            guarded_free(fast_S), guarded_free(fast_z), guarded_free(fast_out),
                guarded_free(fast_den);
            pf_free(S), pf_free(z), pf_free(phi_k), pf_free(v), pf_free(phi_q), pf_free(out);
        }
    }
}

static void test_favor_step(void **state) {
    (void)state;
    for_each_table(favor);
}

/* scores and weighted_rows on n cached rows, at an unaligned address as in a session. */
static void cached_rows_of(const pf_kernels *fast, pf_type type, size_t n, size_t D, size_t G) {
    size_t ld = n + pf_rng_u64(&rng) % 5;
    float *rows = floats(n * D + 1), *q = floats(G * D), *weights = floats(G * ld);
    float *scores = floats(G * ld), *out = floats(G * D);
    pf_matrix cached = {type, n, D, rows + 1};
    if (type == PF_F16) {
        uint16_t *half = (uint16_t *)(void *)rows + 1;
        float *values = floats(n * D);
        plain()->to_f16(half, values, n * D);
        cached.data = half;
        pf_free(values);
    }
    guarded fast_scores = guarded_new(G * ld), fast_out = guarded_new(G * D);
    plain()->scores(q, G, cached, 0.3f, scores, ld);
    fast->scores(q, G, cached, 0.3f, fast_scores.x, ld);
    plain()->weighted_rows(weights, ld, G, cached, out);
    fast->weighted_rows(weights, ld, G, cached, fast_out.x);
    for (size_t g = 0; g < G; g++)
        for (size_t j = 0; j < n; j++)
            close_to("scores", D, fast_scores.x[g * ld + j], (double)scores[g * ld + j], 1e-4);
    for (size_t i = 0; i < G * D; i++) close_to("weighted", D, fast_out.x[i], (double)out[i], 1e-4);
    guarded_free(fast_scores), guarded_free(fast_out);
    pf_free(rows), pf_free(q), pf_free(weights), pf_free(scores), pf_free(out);
}

static void cached_rows(const pf_kernels *fast) {
    const size_t dims[] = {1, 8, 12, 16, 33, 48, 64, 80, 130, 300};
    for (size_t j = 0; j < sizeof dims / sizeof dims[0]; j++)
        for (size_t G = 1; G <= 9; G++) {
            cached_rows_of(fast, PF_F32, 1 + pf_rng_u64(&rng) % 90, dims[j], G);
            cached_rows_of(fast, PF_F16, 1 + pf_rng_u64(&rng) % 90, dims[j], G);
        }
}

static void to_f16(const pf_kernels *fast) {
    const float edges[] = {
        0,     -0.0f,    65504,  65519.99f,       65520,           1e30f,   -INFINITY,
        6e-8f, 2.98e-8f, 1e-30f, 1 + 1.0f / 2048, 1 + 3.0f / 2048, 6.1e-5f, -6.0e-5f};
    for (size_t n = 1; n <= 70; n++) {
        float *x = floats(n);
        uint16_t fast_y[71], y[71];
        for (size_t i = 0; i < n; i += 3) x[i] = edges[(i + n) % (sizeof edges / sizeof *edges)];
        fast_y[n] = 0x5a5a;
        plain()->to_f16(y, x, n);
        fast->to_f16(fast_y, x, n);
        for (size_t i = 0; i < n; i++) assert_int_equal(fast_y[i], y[i]);
        assert_int_equal(fast_y[n], 0x5a5a);
        pf_free(x);
    }
}

static void test_cached_rows(void **state) {
    (void)state;
    for_each_table(cached_rows);
    for_each_table(to_f16);
}

/* ---- flash attention of a tile of queries ---- */

typedef struct guarded_tile {
    guarded q, out, den, running_max, scores;
    pf_query_tile tile;
} guarded_tile;

static guarded_tile tile_new(size_t D) {
    enum { TILE = PF_TILE_QUERIES };
    guarded_tile g = {guarded_new(D * TILE),
                      guarded_new(D * TILE),
                      guarded_new(TILE),
                      guarded_new(TILE),
                      guarded_new(PF_TILE_KEYS * TILE),
                      {0}};
    g.tile = (pf_query_tile){TILE, g.q.x, g.out.x, g.den.x, g.running_max.x, g.scores.x};
    memset(g.out.x, 0, D * TILE * sizeof(float));
    memset(g.den.x, 0, TILE * sizeof(float));
    for (size_t t = 0; t < TILE; t++) g.running_max.x[t] = -INFINITY;
    return g;
}

static void tile_free(guarded_tile g) {
    guarded_free(g.q), guarded_free(g.out), guarded_free(g.den), guarded_free(g.running_max);
    guarded_free(g.scores);
}

/* Sums of n terms of size s differ by about n ulps of s from one order to another. */
static void tiles_agree(const pf_query_tile *a, const pf_query_tile *b, size_t D, double size) {
    for (size_t t = 0; t < a->n; t++) {
        if (b->running_max[t] == -INFINITY) {
            assert_true(a->running_max[t] == -INFINITY && a->den[t] == 0);
            continue;
        }
        close_to("running_max", D, a->running_max[t], (double)b->running_max[t],
                 2e-6 * size * (double)D);
        double scale = exp((double)a->running_max[t] - (double)b->running_max[t]);
        double off = 2e-5 * (1 + size) * fabs((double)b->den[t]);
        close_to("den", D, a->den[t], (double)b->den[t] / scale, off);
        for (size_t d = 0; d < D; d++)
            close_to("out", D, a->out[d * PF_TILE_QUERIES + t],
                     (double)b->out[d * PF_TILE_QUERIES + t] / scale, 4 * off + 1e-6);
    }
}

/* Three calls in a row: every query sees all keys; some see none; each sees a band of the block. */
static void flash_attention(const pf_kernels *fast) {
    const size_t dims[] = {1, 7, 8, 12, 16, 33, 48, 64, 80, 128, 130};
    for (size_t i = 0; i < 3 * sizeof dims / sizeof dims[0]; i++) {
        size_t D = dims[i / 3], queries = 1 + pf_rng_u64(&rng) % PF_TILE_QUERIES;
        float size = i % 3 == 0   ? 0.1f
                     : i % 3 == 1 ? 1
                                  : 20; /* with 20, almost all weights are 0 */
        guarded_tile a = tile_new(D), b = tile_new(D);
        a.tile.n = b.tile.n = queries;
        float *q = floats(D * PF_TILE_QUERIES);
        for (size_t j = 0; j < D * PF_TILE_QUERIES; j++) a.q.x[j] = b.q.x[j] = size * q[j];
        for (int call = 0; call < 3; call++) {
            size_t n = call == 0 ? PF_TILE_KEYS : 1 + pf_rng_u64(&rng) % PF_TILE_KEYS;
            ptrdiff_t first = call == 2 ? -(ptrdiff_t)(pf_rng_u64(&rng) % 20) : -100;
            ptrdiff_t last = call == 0 ? (ptrdiff_t)n : (ptrdiff_t)(pf_rng_u64(&rng) % n) - 10;
            float *K = floats(n * D + 1), *V = floats(n * D + 1);
            fast->flash_attention(&a.tile, K + 1, V + 1, n, D, first, last);
            plain()->flash_attention(&b.tile, K + 1, V + 1, n, D, first, last);
            tiles_agree(&a.tile, &b.tile, D, (double)size);
            pf_free(K), pf_free(V);
        }
        tile_free(a), tile_free(b);
        pf_free(q);
    }
}

static void test_flash_attention(void **state) {
    (void)state;
    for_each_table(flash_attention);
}

static void test_the_choice_is_one_of_the_tables(void **state) {
    (void)state;
    size_t count, found = 0;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    for (size_t i = 0; i < count; i++) found += tables[i] == pf_kernels_get();
    assert_int_equal(found, 1);
    print_message("%zu tables, %s is chosen\n", count, pf_kernels_get()->name);
}

#if defined(__x86_64__) && defined(__linux__)
/* What the kernel's own reading of CPUID says. */
static bool made_by_amd(void) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[4096];
    bool amd = false;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "vendor_id", 9) == 0)
            amd = strstr(line, "AuthenticAMD") || strstr(line, "HygonGenuine");
    if (file) fclose(file);
    return amd;
}

static void test_the_choice_follows_the_maker(void **state) {
    (void)state;
    if (getenv("PF_KERNELS")) skip();
    size_t count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    for (size_t i = 1; i < count; i += 2) { /* twins: AMD's, then the others' */
        size_t n = strlen(tables[i + 1]->name);
        assert_memory_equal(tables[i]->name, tables[i + 1]->name, n);
        assert_string_equal(tables[i]->name + n, "-amd");
    }
    assert_int_equal(strstr(pf_kernels_get()->name, "-amd") != NULL, count > 1 && made_by_amd());
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_norms_and_swiglu),
        cmocka_unit_test(test_gelus),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_favor_step),
        cmocka_unit_test(test_cached_rows),
        cmocka_unit_test(test_flash_attention),
        cmocka_unit_test(test_the_choice_is_one_of_the_tables),
#if defined(__x86_64__) && defined(__linux__)
        cmocka_unit_test(test_the_choice_follows_the_maker),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
