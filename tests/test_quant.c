/* floor 6.2 - tests of the block formats: golden blocks of ggml and gguf-py, rounding. */
#include "memory.h"
#include "quant.h"
#include "testing.h"

#include <math.h>
#include <string.h>

#define SHARED "../shared/data/quant"
#define FIXTURES "tests/fixtures/quant"

/* The whole file, to be freed with pf_free; NULL if it is missing. */
static void *read_all(const char *folder, const char *name, const char *extension, size_t *size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, extension);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = pf_calloc(*size, 1, path, NULL);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void check_golden(const char *folder, const char *name) {
    pf_type type;
    assert_true(pf_type_parse(name, &type));
    const pf_type_info *info = pf_type_get(type);
    size_t block_bytes, value_bytes;
    void *blocks = read_all(folder, name, "blocks", &block_bytes);
    void *golden = read_all(folder, name, "f32", &value_bytes);
    if (!blocks || !golden) SKIP_BECAUSE("%s/%s.blocks is not there", folder, name);
    size_t n = value_bytes / sizeof(float);
    assert_int_equal(n, block_bytes / info->block_bytes * info->block_size);
    float *values = pf_calloc(n, sizeof *values, "values", NULL);
    pf_dequantize_row(type, blocks, values, n);
    assert_memory_equal(values, golden, value_bytes);
    pf_free(values);
    pf_free(golden);
    pf_free(blocks);
}

static void test_golden_blocks_of_ggml(void **state) {
    (void)state;
    const char *const names[] = {"f16",  "bf16", "q4_0", "q4_1", "q5_0",
                                 "q8_0", "q2_k", "q4_k", "q6_k"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) check_golden(SHARED, names[i]);
}

static void test_golden_blocks_of_gguf_py(void **state) {
    (void)state;
    const char *const names[] = {"q5_1", "q5_k", "q3_k", "iq4_nl", "iq4_xs"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) check_golden(FIXTURES, names[i]);
}

static void test_quantises_as_gguf_py(void **state) {
    (void)state;
    size_t value_bytes, size;
    float *values = read_all(FIXTURES, "values", "f32", &value_bytes);
    assert_non_null(values);
    const pf_type types[] = {PF_Q8_0, PF_Q4_0};
    for (int i = 0; i < 2; i++) {
        void *golden = read_all(FIXTURES, "values", pf_type_get(types[i])->name, &size);
        assert_non_null(golden);
        void *blocks = pf_calloc(size, 1, "blocks", NULL);
        assert_true(pf_quantize_row(types[i], values, blocks, value_bytes / sizeof *values));
        assert_memory_equal(blocks, golden, size);
        pf_free(blocks);
        pf_free(golden);
    }
    pf_free(values);
}

static void test_halves_survive_the_round_trip(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x10000; half++) {
        float f16 = pf_f16_to_f32((uint16_t)half), bf16 = pf_bf16_to_f32((uint16_t)half);
        if (isnan(f16))
            assert_true(isnan(pf_f16_to_f32(pf_f32_to_f16(f16))));
        else
            assert_int_equal(pf_f32_to_f16(f16), half);
        if (isnan(bf16))
            assert_true(isnan(pf_bf16_to_f32(pf_f32_to_bf16(bf16))));
        else
            assert_int_equal(pf_f32_to_bf16(bf16), half);
    }
}

/* Halfway between two neighbours the even one wins; just off halfway, the nearer one. */
static void test_rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint16_t half = 0; half < 0x7bff; half++) {
        float low = pf_f16_to_f32(half), high = pf_f16_to_f32((uint16_t)(half + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(pf_f32_to_f16(middle), half + (half & 1));
        assert_int_equal(pf_f32_to_f16(nextafterf(middle, 0)), half);
        assert_int_equal(pf_f32_to_f16(-nextafterf(middle, INFINITY)), (half + 1) | 0x8000);
    }
    assert_int_equal(pf_f32_to_f16(nextafterf(65520, 0)), 0x7bff);
    assert_int_equal(pf_f32_to_f16(65520), 0x7c00);
    assert_int_equal(pf_f32_to_f16(-1e30f), 0xfc00);
    assert_int_equal(pf_f32_to_f16(-0.0f), 0x8000);
    assert_int_equal(pf_f32_to_bf16(1 + 0x1p-8f), 0x3f80);
    assert_int_equal(pf_f32_to_bf16(1 + 3 * 0x1p-8f), 0x3f82);
    assert_int_equal(pf_f32_to_bf16(3.4e38f), 0x7f80);
}

/* Even values that no file should hold must not cause undefined behaviour (see make asan). */
static void test_hostile_values(void **state) {
    (void)state;
    float values[32] = {1, -2, NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f};
    float back[32];
    uint8_t block[34];
    for (int i = 0; i < 2; i++) {
        assert_true(pf_quantize_row(i ? PF_Q8_0 : PF_Q4_0, values, block, 32));
        pf_dequantize_row(i ? PF_Q8_0 : PF_Q4_0, block, back, 32);
    }
    values[3] = values[4] = values[5] = values[6] = 0;
    assert_true(pf_quantize_row(PF_Q8_0, values, block, 32));
    pf_dequantize_row(PF_Q8_0, block, back, 32);
    assert_true(fabsf(back[1] + 2) < 0.01f && back[2] == 0);
}

static void test_other_types_are_not_written(void **state) {
    (void)state;
    float values[256] = {0};
    uint8_t block[256];
    memset(block, 7, sizeof block);
    assert_false(pf_quantize_row(PF_Q6_K, values, block, 256));
    for (int i = 0; i < 256; i++) assert_int_equal(block[i], 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_blocks_of_ggml),
        cmocka_unit_test(test_golden_blocks_of_gguf_py),
        cmocka_unit_test(test_quantises_as_gguf_py),
        cmocka_unit_test(test_halves_survive_the_round_trip),
        cmocka_unit_test(test_rounds_to_nearest_even),
        cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_other_types_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
