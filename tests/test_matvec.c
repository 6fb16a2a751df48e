/* floor 6.2 - test of the kernels on weights: every table that this machine can run against the
 * plain one. */
#include "kernel_testing.h"

enum { MAX = 4096 };

static const pf_type block_types[] = {PF_Q4_0, PF_Q4_1, PF_Q5_0, PF_Q5_1, PF_Q8_0,   PF_Q2_K,
                                      PF_Q3_K, PF_Q4_K, PF_Q5_K, PF_Q6_K, PF_IQ4_NL, PF_IQ4_XS};
enum { N_BLOCK_TYPES = sizeof block_types / sizeof block_types[0] };

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

/* A block's d, and its m or dmin if it has one. */
static void put_halves(pf_type type, uint8_t *block, float d, float m) {
    uint16_t halves[2] = {pf_f32_to_f16(d), pf_f32_to_f16(m)};
    size_t at = type == PF_Q2_K ? 80 : type == PF_Q3_K ? 108 : type == PF_Q6_K ? 208 : 0;
    bool has_m =
        type == PF_Q4_1 || type == PF_Q5_1 || type == PF_Q2_K || type == PF_Q4_K || type == PF_Q5_K;
    memcpy(block + at, halves, has_m ? 4 : 2);
}

/* Rows of any type with finite values: random bytes, with fp16 scales of an ordinary size. */
static void *random_rows(pf_type type, size_t rows, size_t cols) {
    size_t bytes = rows * pf_row_bytes(type, cols);
    uint8_t *data = pf_calloc(bytes + 1, 1, "weights", NULL);
    uint8_t *out = data + 1; /* misaligned */
    float *values = floats(rows * cols);
    if (!pf_quantize_row(type, values, out, rows * cols)) {
        const pf_type_info *info = pf_type_get(type);
        for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)pf_rng_u64(&rng);
        for (size_t block = 0; block < bytes; block += info->block_bytes)
            put_halves(type, out + block, normal() * 0.05f, normal() * 0.05f);
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
    for (size_t r = begin; r < end; r++) { /* the error is relative to this sum */
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
        const uint8_t *bytes = (const uint8_t *)y.x; /* other rows are untouched */
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

/* The largest integers on both sides: sums of pairs must not saturate. */
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

/* The largest integers of every type, all of one sign against activations of either sign: unpacked
 * in place, they fill their bytes. */
static void matvec_of_largest(const pf_kernels *fast) {
    static activation_storage a;
    enum { N = 512 };
    for (size_t i = 0; i < N_BLOCK_TYPES; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            pf_type type = block_types[i];
            const pf_type_info *info = pf_type_get(type);
            size_t bytes = pf_row_bytes(type, N);
            uint8_t row[N * 2];
            memset(row, 0xff, bytes);
            for (size_t block = 0; block < bytes; block += info->block_bytes)
                put_halves(type, row + block, 1, 1);
            for (size_t j = 0; j < N; j++) a.x[j] = (float)(127 * sign);
            pf_activation activation = activation_of(&a);
            fast->quantize_activation(activation, N);
            float y, expected;
            pf_matrix W = {type, 1, N, row};
            fast->matvec(W, activation, &y, 0, 1);
            plain()->matvec(W, activation, &expected, 0, 1);
            close_to(info->name, N, y, (double)expected, 2e-6 * fabs((double)expected) + 0.5);
        }
}

static void test_largest(void **state) {
    (void)state;
    for_each_table(matvec_of_largest);
}

/* Rows longer than what fits the kernels' buffers. */
static void matvec_of_long_rows(const pf_kernels *fast) {
    enum { N = 32768 + 256 };
    float *x = floats(N), *scale = floats(N / 32), *sum = floats(N / 32);
    int8_t *q = pf_calloc(N, 1, "activation", NULL);
    pf_activation a = {x, q, scale, sum};
    plain()->quantize_activation(a, N);
    for (size_t i = 0; i < N_BLOCK_TYPES; i++) {
        void *data = random_rows(block_types[i], 1, N);
        pf_matrix W = {block_types[i], 1, N, (char *)data + 1};
        float y, expected, *row = floats(N), magnitude = 0;
        pf_dequantize_row(W.type, W.data, row, N);
        for (size_t j = 0; j < N; j++) magnitude += fabsf(row[j] * x[j]);
        fast->matvec(W, a, &y, 0, 1);
        plain()->matvec(W, a, &expected, 0, 1);
        close_to(pf_type_get(W.type)->name, N, y, (double)expected, 3e-6 * (double)magnitude);
        pf_free(row), pf_free(data);
    }
    pf_free(x), pf_free(scale), pf_free(sum), pf_free(q);
}

static void test_long_rows(void **state) {
    (void)state;
    for_each_table(matvec_of_long_rows);
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
    for (size_t i = 0; i < count; i++) /* every fp16 number, NaN included */
        for (uint32_t bits = 0; bits < 0x10000; bits += 8) {
            uint16_t halves[8];
            float expected[8], got[8];
            for (uint32_t j = 0; j < 8; j++) halves[j] = (uint16_t)(bits + j);
            pf_dequantize_row(PF_F16, halves, expected, 8);
            tables[i]->dequantize_row(PF_F16, halves, got, 8);
            assert_memory_equal(got, expected, sizeof got);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize_activation), cmocka_unit_test(test_matvec),
        cmocka_unit_test(test_no_saturation),       cmocka_unit_test(test_largest),
        cmocka_unit_test(test_long_rows),           cmocka_unit_test(test_dequantize_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
