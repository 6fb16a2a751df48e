/* floor 6.2 - test_memory: aligned, zeroed, overflow-checked blocks, and the failing allocation. */
#include "carve.h"
#include "memory.h"
#include "testing.h"

#include <string.h>

static void multiplication_reports_overflow(void **state) {
    (void)state;
    size_t product = 0;
    assert_true(pf_mul_size(6, 7, &product));
    assert_int_equal(product, 42);
    assert_true(pf_mul_size(SIZE_MAX, 1, &product));
    assert_int_equal(product, SIZE_MAX);
    assert_true(pf_mul_size(SIZE_MAX, 0, &product));
    assert_int_equal(product, 0);
    assert_false(pf_mul_size(SIZE_MAX / 2 + 1, 2, &product));
    assert_false(pf_mul_size((size_t)1 << 32, (size_t)1 << 32, &product));
}

static void blocks_are_aligned_zeroed_and_apart(void **state) {
    (void)state;
    unsigned char *blocks[70];
    for (size_t n = 0; n < 70; n++) {
        blocks[n] = pf_calloc(n, 3, "a block", NULL);
        assert_non_null(blocks[n]);
        assert_int_equal((uintptr_t)blocks[n] % PF_ALIGN, 0);
        for (size_t i = 0; i < 3 * n; i++) assert_int_equal(blocks[n][i], 0);
        memset(blocks[n], (int)n, 3 * n);
    }
    for (size_t n = 0; n < 70; n++) {
        for (size_t i = 0; i < 3 * n; i++) assert_int_equal(blocks[n][i], n);
        pf_free(blocks[n]);
    }
    pf_free(NULL);
}

static void impossible_sizes_fail_with_a_name(void **state) {
    (void)state;
    pf_error error = {""};
    assert_null(pf_calloc(SIZE_MAX / 2, 4, "the KV cache", &error)); /* overflows size_t */
    assert_non_null(strstr(error.message, "the KV cache"));
    assert_null(pf_calloc(SIZE_MAX, 1, "the KV cache", &error)); /* overflows with the header */
    assert_null(pf_calloc(SIZE_MAX / 4, 1, "the KV cache", NULL));
}

static void realloc_keeps_the_bytes(void **state) {
    (void)state;
    unsigned char *block = pf_realloc(NULL, 10, 1, "a block", NULL);
    assert_non_null(block);
    memcpy(block, "0123456789", 10);
    block = pf_realloc(block, 100000, 1, "a block", NULL);
    assert_non_null(block);
    assert_memory_equal(block, "0123456789", 10);
    assert_int_equal((uintptr_t)block % PF_ALIGN, 0);
    block = pf_realloc(block, 5, 1, "a block", NULL);
    assert_non_null(block);
    assert_memory_equal(block, "01234", 5);
    pf_error error = {""};
    assert_null(pf_realloc(block, SIZE_MAX, 2, "a list", &error));
    assert_non_null(strstr(error.message, "a list"));
    assert_memory_equal(block, "01234", 5); /* still valid */
    pf_free(block);
}

static void text_copies_end_with_nul(void **state) {
    (void)state;
    char *copy = pf_strndup("hello\0world", 11, NULL);
    assert_memory_equal(copy, "hello\0world", 12);
    pf_free(copy);
    copy = pf_strndup("hello", 0, NULL);
    assert_string_equal(copy, "");
    pf_free(copy);
}

static void nth_allocation_and_all_after_it_fail(void **state) {
    (void)state;
    for (long n = 1; n <= 4; n++) {
        void *blocks[5];
        pf_memory_fail_after(n);
        for (long i = 0; i < 5; i++) blocks[i] = pf_calloc(1, 1, "a block", NULL);
        pf_memory_fail_after(0);
        for (long i = 0; i < 5; i++) {
            if (i < n - 1)
                assert_non_null(blocks[i]);
            else
                assert_null(blocks[i]);
            pf_free(blocks[i]);
        }
    }
    void *block = pf_calloc(1, 1, "a block", NULL);
    assert_non_null(block);
    pf_free(block);
}

static void carved_arrays_fill_what_was_counted(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 16, 0, 17, 3};
    pf_carve counted = {0};
    for (int i = 0; i < 5; i++) assert_null(pf_carve_floats(&counted, sizes[i]));
    assert_int_equal(counted.used, 16 + 16 + 0 + 32 + 16);
    float *memory = pf_calloc(counted.used, sizeof *memory, "a block", NULL), *arrays[5];
    pf_carve carve = {.memory = memory};
    for (int i = 0; i < 5; i++) {
        arrays[i] = pf_carve_floats(&carve, sizes[i]);
        assert_int_equal((uintptr_t)arrays[i] % PF_ALIGN, 0);
        assert_true(arrays[i] + sizes[i] <= memory + counted.used);
        if (i > 0) assert_true(arrays[i] >= arrays[i - 1] + sizes[i - 1]);
    }
    assert_int_equal(carve.used, counted.used);
    pf_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_reports_overflow),
        cmocka_unit_test(blocks_are_aligned_zeroed_and_apart),
        cmocka_unit_test(impossible_sizes_fail_with_a_name),
        cmocka_unit_test(realloc_keeps_the_bytes),
        cmocka_unit_test(text_copies_end_with_nul),
        cmocka_unit_test(nth_allocation_and_all_after_it_fail),
        cmocka_unit_test(carved_arrays_fill_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
