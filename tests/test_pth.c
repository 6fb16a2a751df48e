/* floor 6.2 - test_pth: reads PyTorch archives as tensors and values, and refuses bad ones. */
#include "testing.h"

#include "formats.h"
#include "memory.h"
#include "pth.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define FIXTURES "tests/fixtures/pth/"

static pf_checkpoint *open_fixture(const char *name) {
    char path[96];
    pf_error error = {""};
    snprintf(path, sizeof path, FIXTURES "%s", name);
    pf_checkpoint *checkpoint = pf_checkpoint_open(path, &error);
    if (!checkpoint) fail_msg("%s", error.message);
    return checkpoint;
}

/* The values of a tensor as float32; made, if it has no data. */
static void assert_values(pf_checkpoint *checkpoint, const char *name, pf_type type,
                          const uint64_t *shape, uint32_t n_dims, const void *values,
                          size_t bytes) {
    pf_error error = {""};
    const pf_tensor *tensor = pf_checkpoint_find(checkpoint, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->type, type);
    assert_int_equal(tensor->n_dims, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) assert_int_equal(tensor->shape[i], shape[i]);
    assert_int_equal(tensor->bytes, bytes);
    if (!pf_checkpoint_need_data(checkpoint, tensor, &error)) fail_msg("%s", error.message);
    assert_memory_equal(tensor->data, values, bytes);
}
#define SHAPE(...) (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)
#define FLOATS(...) (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__})
#define SHORTS(...) (uint16_t[]){__VA_ARGS__}, sizeof((uint16_t[]){__VA_ARGS__})

/* The same views in files of each protocol. Shapes have the innermost axis first. */
static void test_views(void **state) {
    (void)state;
    for (int protocol = 2; protocol <= 5; protocol++) {
        char name[32];
        snprintf(name, sizeof name, "views-%d.pt", protocol);
        pf_checkpoint *c = open_fixture(name);
        assert_int_equal(pf_checkpoint_n_tensors(c), 12); /* without the empty one */
        assert_values(c, "whole", PF_F32, SHAPE(6, 4),
                      FLOATS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                             20, 21, 22, 23));
        assert_values(c, "transposed", PF_F32, SHAPE(4, 6),
                      FLOATS(0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22,
                             5, 11, 17, 23));
        assert_values(c, "column", PF_F32, SHAPE(4), FLOATS(2, 8, 14, 20));
        assert_values(c, "part", PF_F32, SHAPE(3, 2), FLOATS(7, 8, 9, 13, 14, 15));
        assert_values(c, "cube", PF_F32, SHAPE(4, 3, 2),
                      FLOATS(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 12, 15, 18, 21, 13, 16, 19, 22,
                             14, 17, 20, 23));
        assert_values(c, "scalar", PF_F32, SHAPE(1), FLOATS(7));
        assert_values(c, "f16", PF_F16, SHAPE(3), SHORTS(0x3800, 0xc000, 0x7bff));
        assert_values(c, "bf16", PF_BF16, SHAPE(3), SHORTS(0x3f80, 0xc000, 0x7f7f));
        assert_values(c, "f64", PF_F32, SHAPE(3), FLOATS(0.1f, (float)-1e300, 3));
        assert_values(c, "i64", PF_F32, SHAPE(3), FLOATS(-1, 1099511627776.0f, 3));
        assert_values(c, "u8", PF_F32, SHAPE(1, 3), FLOATS(0, 200, 255));
        assert_values(c, "truth", PF_F32, SHAPE(3), FLOATS(0, 1, 1));
        pf_checkpoint_free(c);
    }
}

static void test_values(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *c = open_fixture("views-2.pt");
    uint32_t n = 0;
    uint64_t big = 0;
    float x = 0;
    bool on = false, off = true;
    pf_text text;
    assert_true(pf_checkpoint_get_u32(c, "args.n", &n, &error) && n == 3);
    assert_true(pf_checkpoint_get_u64(c, "args.big", &big, &error) && big == (uint64_t)1 << 40);
    assert_true(pf_checkpoint_get_f32(c, "args.x", &x, &error) && x == 0.25f);
    assert_true(pf_checkpoint_get_bool(c, "args.on", &on, &error) && on);
    assert_true(pf_checkpoint_get_bool(c, "args.off", &off, &error) && !off);
    assert_true(pf_checkpoint_get_u32(c, "args.list.1.0", &n, &error) && n == 2);
    assert_true(pf_checkpoint_get_u32(c, "args.deep.a.b.c", &n, &error) && n == 1);
    assert_true(pf_checkpoint_get_text(c, "args.name", &text, &error));
    assert_int_equal(text.size, 5);
    assert_memory_equal(text.bytes, "caf\xc3\xa9", 5);
    assert_true(pf_checkpoint_get_text(c, "args.7", &text, &error) && text.size == 5);
    assert_true(pf_checkpoint_find_meta(c, "args.negative")->value.i == -5);
    assert_true(pf_checkpoint_find_meta(c, "args.huge")->value.f > 1e60);
    assert_null(pf_checkpoint_find_meta(c, "args.none"));
    pf_checkpoint_free(c);
}

static void test_tied_tensors_are_known(void **state) {
    (void)state;
    pf_checkpoint *c = open_fixture("nanogpt.pt");
    const pf_tensor *a = pf_checkpoint_find(c, "model._orig_mod.transformer.wte.weight");
    const pf_tensor *b = pf_checkpoint_find(c, "model._orig_mod.lm_head.weight");
    const pf_tensor *other = pf_checkpoint_find(c, "model._orig_mod.transformer.wpe.weight");
    assert_true(a && b && other && pf_pth_is_same(a, b) && !pf_pth_is_same(a, other));
    pf_checkpoint_free(c);
}

/* ---- refused, with a message, quickly and in little memory ---- */

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *name, *says;
    } files[] = {
        {"evil.pt", "system, which is not part of a state_dict"},
        {"compressed.pt", "compressed"},
        {"missing-storage.pt", "data/0 of the tensor w is missing"},
        {"short-storage.pt", "does not fit into its storage"},
        {"expanded.pt", "does not fit into its storage"},
        {"overflow.pt", "does not fit into its storage"},
        {"nested.pt", "nested more than"},
        {"shared.pt", "more values"},
        {"script.pt", "TorchScript"},
        {"legacy.pt", "before 1.6"},
        {"big-endian.pt", "big-endian"},
    };
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[96];
        pf_error error = {""};
        clock_t start = clock();
        snprintf(path, sizeof path, FIXTURES "%s", files[i].name);
        assert_null(pf_checkpoint_open(path, &error));
        assert_true(strstr(error.message, path) == error.message);
        if (!strstr(error.message, files[i].says))
            fail_msg("\"%s\" lacks \"%s\"", error.message, files[i].says);
        assert_true(clock() - start < CLOCKS_PER_SEC);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 100 * 1024); /* kB */
}

static void test_other_archives(void **state) {
    (void)state;
    static const uint8_t empty[] = "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"; /* no records */
    static const uint8_t cut[] = "PK\3\4\0\0";
    pf_error error = {""};
    pf_slice slices[] = {{cut, sizeof cut - 1}, {empty, sizeof empty}};
    assert_null(pf_checkpoint_open_bytes(slices[0], "cut.pt", &error));
    assert_non_null(strstr(error.message, "zip archive cannot be read"));
    pf_checkpoint_free(pf_checkpoint_open_bytes(slices[1], "empty.pt", &error));
}

/* An empty archive that claims to have many records: must be refused before they are read. */
static void test_too_many_records(void **state) {
    (void)state;
    uint8_t bytes[4 + 56 + 20 + 22] = "PK\3\4";
    uint8_t *end64 = bytes + 4, *locator = end64 + 56, *end = locator + 20;
    pf_slice slice = {bytes, sizeof bytes};
    pf_error error = {""};
    memcpy(end64, "PK\6\6", 4);
    memcpy(locator, "PK\6\7", 4);
    memcpy(end, "PK\5\6", 4);
    locator[8] = 4;    /* where end64 is */
    end64[32 + 3] = 1; /* 2^24 records */
    assert_null(pf_checkpoint_open_bytes(slice, "many.pt", &error));
    assert_non_null(strstr(error.message, "more than 65534 records"));
    end64[32 + 3] = 0;
    memset(end + 10, 0xff, 2);
    assert_null(pf_checkpoint_open_bytes(slice, "many.pt", &error));
    assert_non_null(strstr(error.message, "more than 65534 records"));
}

/* Reads everything in a file. Nothing may crash or leak, and a truncated file must be noticed. */
static bool read_all(pf_slice bytes) {
    pf_error error = {""};
    pf_checkpoint *c = pf_checkpoint_open_bytes(bytes, "bytes", &error);
    bool good = c != NULL;
    for (size_t i = 0; c && i < pf_checkpoint_n_tensors(c); i++)
        good &= pf_checkpoint_need_data(c, pf_checkpoint_tensor(c, i), &error);
    assert_true(good || error.message[0] != '\0');
    pf_checkpoint_free(c);
    return good;
}

static void test_truncation_and_damage(void **state) {
    (void)state;
    pf_file file;
    pf_error error = {""};
    assert_true(pf_file_open(FIXTURES "views-4.pt", &file, &error));
    size_t n = file.bytes.size, unnoticed = 0;
    uint8_t *bytes = pf_calloc(n, 1, "a test", &error);
    assert_true(read_all(file.bytes));
    for (size_t size = 0; size < n; size++)
        assert_false(read_all((pf_slice){file.bytes.data, size}));
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit += 7) {
            memcpy(bytes, file.bytes.data, n);
            bytes[at] ^= (uint8_t)(1 << bit);
            unnoticed += read_all((pf_slice){bytes, n});
        }
    assert_true(unnoticed < n); /* dates, flags and attributes of the archive do not matter */
    pf_free(bytes);
    pf_file_close(&file);
}

static void test_damaged_numbers_are_found_by_the_checksum(void **state) {
    (void)state;
    pf_file file;
    pf_error error = {""};
    static const uint32_t pattern[] = {0x41a00000, 0x41a80000, 0x41b00000}; /* 20, 21, 22 */
    assert_true(pf_file_open(FIXTURES "views-2.pt", &file, &error));
    uint8_t *bytes = pf_calloc(file.bytes.size, 1, "a test", &error);
    memcpy(bytes, file.bytes.data, file.bytes.size);
    size_t at = 0;
    while (at + sizeof pattern <= file.bytes.size &&
           memcmp(bytes + at, pattern, sizeof pattern) != 0)
        at++;
    assert_true(at + sizeof pattern <= file.bytes.size);
    bytes[at] ^= 1;
    pf_checkpoint *c =
        pf_checkpoint_open_bytes((pf_slice){bytes, file.bytes.size}, "bytes", &error);
    assert_non_null(c);
    assert_false(pf_checkpoint_need_data(c, pf_checkpoint_find(c, "whole"), &error));
    assert_non_null(strstr(error.message, "damaged"));
    pf_checkpoint_free(c);
    pf_free(bytes);
    pf_file_close(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_tied_tensors_are_known),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_other_archives),
        cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_truncation_and_damage),
        cmocka_unit_test(test_damaged_numbers_are_found_by_the_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
