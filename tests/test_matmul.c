/* floor 6.2 - test of the matrix products: all types and shapes against sums in double. */
#include "matmul.h"
#include "memory.h"
#include "quant.h"
#include "rng.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { MAX_COLS = 2048, MEMBERS = 3 };

static pf_rng rng;

static float *drawn_from(pf_rng *source, size_t n) {
    float *x = pf_calloc(n + 1, sizeof *x, "floats", NULL);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)pf_rng_normal(source);
    return x;
}

static float *floats(size_t n) { return drawn_from(&rng, n); }

/* A matrix of any type: quantised normal values, or random blocks with small scales. */
static pf_matrix matrix_new(pf_type type, size_t rows, size_t cols) {
    size_t bytes = rows * pf_row_bytes(type, cols);
    uint8_t *data = pf_calloc(bytes, 1, "weights", NULL);
    float *values = floats(rows * cols);
    if (!pf_quantize_row(type, values, data, rows * cols)) {
        const pf_type_info *info = pf_type_get(type);
        for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)pf_rng_u64(&rng);
        for (size_t block = 0; block < bytes; block += info->block_bytes)
            for (size_t j = 0; j < 2; j++) {
                size_t at = type == PF_Q2_K                                             ? 80 + 2 * j
                            : type == PF_Q3_K                                           ? 108
                            : type == PF_Q6_K                                           ? 208
                            : type == PF_Q5_0 || type == PF_IQ4_NL || type == PF_IQ4_XS ? 0
                                                                                        : 2 * j;
                uint16_t half = pf_f32_to_f16((float)pf_rng_normal(&rng) * 0.02f);
                memcpy(data + block + at, &half, sizeof half);
            }
    }
    pf_free(values);
    return (pf_matrix){type, rows, cols, data};
}

typedef struct {
    float *Y;
    const float *X, *bias;
    size_t ldy, ldx, T;
    pf_matrix W;
    bool quantised;
} job;

static void work(void *context, pf_member member) {
    const job *j = context;
    pf_rng own; /* the initial content of the scratch must not matter */
    pf_rng_seed(&own, 5, (uint64_t)member.index);
    pf_matmul_scratch scratch = {.panel = drawn_from(&own, pf_matmul_panel_floats(j->W.cols))};
    scratch.activation.scale = drawn_from(&own, j->W.cols / 32 + 1);
    scratch.activation.sum = drawn_from(&own, j->W.cols / 32 + 1);
    int8_t *q = pf_calloc(j->W.cols + 32, 1, "q", NULL);
    if (j->quantised) scratch.activation.q = q;
    pf_matmul(member, &scratch, j->Y, j->ldy, j->X, j->ldx, j->T, j->W, j->bias);
    pf_free(scratch.panel), pf_free(scratch.activation.scale), pf_free(scratch.activation.sum);
    pf_free(q);
}

/* |got - exact| must be below 2e-6 times the sum of the products' magnitudes. With int8
 * activations, each x is also off by up to half a step of its block's largest / 127. */
static void check(const job *j) {
    float *row = floats(j->W.cols);
    for (size_t r = 0; r < j->W.rows; r++) {
        pf_dequantize_row(j->W.type,
                          (const char *)j->W.data + r * pf_row_bytes(j->W.type, j->W.cols), row,
                          j->W.cols);
        for (size_t t = 0; t < j->T; t++) {
            const float *x = j->X + t * j->ldx;
            double exact = j->bias ? (double)j->bias[r] : 0, magnitude = 1, variance = 0;
            for (size_t i = 0; i < j->W.cols; i++) {
                double product = (double)row[i] * (double)x[i];
                exact += product;
                magnitude += fabs(product);
                variance += (double)row[i] * (double)row[i];
            }
            double tolerance = magnitude * 2e-6;
            if (j->quantised) tolerance += 6 * sqrt(variance / 12) * 4.5 / 127;
            double off = fabs((double)j->Y[t * j->ldy + r] - exact);
            if (off > tolerance)
                fail_msg("%s [%zu, %zu], T = %zu: row %zu of token %zu is off by %g, tolerance %g",
                         pf_type_get(j->W.type)->name, j->W.rows, j->W.cols, j->T, r, t, off,
                         tolerance);
        }
    }
    pf_free(row);
}

/* One product by 1 ... MEMBERS members: right, with the same bits, and the gaps between rows
 * untouched. */
static void product(pf_type type, size_t rows, size_t cols, size_t T, bool quantised,
                    bool with_bias) {
    size_t ldx = cols + 5, ldy = rows + 3;
    float *X = floats(T * ldx), *bias = floats(rows), *Y[MEMBERS];
    pf_matrix W = matrix_new(type, rows, cols);
    for (int m = 0; m < MEMBERS; m++) {
        Y[m] = pf_calloc(T * ldy, sizeof(float), "Y", NULL);
        memset(Y[m], 0x5a, T * ldy * sizeof(float));
        job j = {Y[m], X, with_bias ? bias : NULL, ldy, ldx, T, W, quantised};
        pf_parallel(m + 1, work, &j);
        if (m == 0) check(&j);
        assert_memory_equal(Y[m], Y[0], T * ldy * sizeof(float));
    }
    for (size_t t = 0; t < T; t++)
        for (size_t i = rows; i < ldy; i++)
            assert_int_equal(((int32_t *)(void *)Y[0])[t * ldy + i], 0x5a5a5a5a);
    for (int m = 0; m < MEMBERS; m++) pf_free(Y[m]);
    pf_free(X), pf_free(bias), pf_free((void *)(uintptr_t)W.data);
}

static void test_every_type(void **state) {
    (void)state;
    pf_rng_seed(&rng, 1, 0);
    const size_t tokens[] = {1, 2, 3, 7, 8, 17, 64, 130};
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++) {
        if (!pf_type_get(type)) continue;
        for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
            for (int quantised = 0; quantised < 2; quantised++)
                product((pf_type)type, 37 + 16 * i, 512, tokens[i], quantised, i % 2);
    }
}

/* Many tokens use the same integers as one token: the two differ by rounding only. */
static void test_many_tokens_agree_with_one(void **state) {
    (void)state;
    pf_rng_seed(&rng, 4, 0);
    enum { T = 45, ROWS = 59, COLS = 768 };
    static float many[T * ROWS], one[T * ROWS];
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++) {
        if (!pf_type_get(type)) continue;
        pf_matrix W = matrix_new((pf_type)type, ROWS, COLS);
        float *X = floats((size_t)T * COLS);
        for (int quantised = 0; quantised < 2; quantised++) {
            if (quantised && !pf_kernels_get()->gemm) continue; /* BLAS uses floats */
            job j = {many, X, NULL, ROWS, COLS, T, W, quantised};
            pf_parallel(1, work, &j);
            j.T = 1;
            for (size_t t = 0; t < T; t++) {
                j.X = X + t * COLS, j.Y = one + t * ROWS;
                pf_parallel(1, work, &j);
            }
            double largest = 0, off = 0;
            for (size_t i = 0; i < (size_t)T * ROWS; i++) {
                largest = fmax(largest, fabs((double)one[i]));
                off = fmax(off, fabs((double)one[i] - (double)many[i]));
            }
            const char *name = pf_kernels_get()->name;
            bool float_gemm = strncmp(name, "avx512", 6) == 0 && !strstr(name, "vnni");
            bool same_integers = !float_gemm || !quantised;
            if (off > largest * (same_integers ? 4e-6 : 4e-2))
                fail_msg("%s: off by %g of %g", pf_type_get(type)->name, off, largest);
        }
        pf_free(X), pf_free((void *)(uintptr_t)W.data);
    }
}

/* Shapes around the sizes of tiles; few rows, few columns, more members than cache lines of Y. */
static void test_every_shape(void **state) {
    (void)state;
    pf_rng_seed(&rng, 2, 0);
    for (size_t n = 1; n <= 70; n += 1 + n / 20) {
        product(PF_F32, n, 1 + pf_rng_u64(&rng) % 90, 1 + pf_rng_u64(&rng) % 40, false, true);
        product(PF_F32, 1 + pf_rng_u64(&rng) % 300, n, 1 + pf_rng_u64(&rng) % 10, false, false);
        product(PF_F16, 1 + pf_rng_u64(&rng) % 40, 1 + pf_rng_u64(&rng) % 90, n, false, true);
        product(PF_Q8_0, n, 32 * (1 + pf_rng_u64(&rng) % 20), 1 + pf_rng_u64(&rng) % 70, true,
                false);
        product(PF_Q4_1, 3 * n, 32 * (1 + pf_rng_u64(&rng) % 20), n, true, true);
    }
    product(PF_F32, 200, 2048, 300, false, true);
    product(PF_Q8_0, 200, 2048, 300, true, true);
    product(PF_Q6_K, 200, 2048, 300, true, true);
}

static void test_sgemm(void **state) {
    (void)state;
    pf_rng_seed(&rng, 3, 0);
    for (int round = 0; round < 100; round++) {
        size_t m = 1 + pf_rng_u64(&rng) % 40, n = 1 + pf_rng_u64(&rng) % 40,
               k = pf_rng_u64(&rng) % 60;
        bool ta = round & 1, tb = round & 2;
        size_t lda = (ta ? m : k) + 2, ldb = (tb ? k : n) + 1, ldc = n + 3;
        float *A = floats((ta ? k : m) * lda), *B = floats((tb ? n : k) * ldb),
              *C = floats(m * ldc);
        float *before = pf_calloc(m * ldc, sizeof *C, "before", NULL);
        memcpy(before, C, m * ldc * sizeof *C);
        float alpha = 0.5f, beta = round % 3 ? 0 : 2;
        if (beta == 0 && round % 3 == 1) C[0] = NAN; /* beta 0 overwrites even NaN */
        pf_sgemm(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < ldc; j++) {
                double exact = (double)before[i * ldc + j];
                if (j < n) {
                    exact *= (double)beta;
                    for (size_t l = 0; l < k; l++)
                        exact += (double)alpha * (double)(ta ? A[l * lda + i] : A[i * lda + l]) *
                                 (double)(tb ? B[j * ldb + l] : B[l * ldb + j]);
                }
                assert_true(fabs((double)C[i * ldc + j] - exact) < 1e-4);
            }
        pf_free(A), pf_free(B), pf_free(C), pf_free(before);
    }
}

static void test_blas_has_a_name(void **state) {
    (void)state;
    assert_true(strlen(pf_blas_name()) > 0);
    print_message("OpenBLAS picked %s\n", pf_blas_name());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),      cmocka_unit_test(test_many_tokens_agree_with_one),
        cmocka_unit_test(test_every_shape),     cmocka_unit_test(test_sgemm),
        cmocka_unit_test(test_blas_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
