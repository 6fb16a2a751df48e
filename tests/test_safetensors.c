/* floor 6.2 - test_safetensors: good and hostile headers, shards, and tensors made on demand. */
#include "checkpoint.h"
#include "formats.h"
#include "gguf_write.h"
#include "memory.h"
#include "safetensors.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/performer-test-safetensors-%ld", (long)getpid());
    return mkdir(folder, 0700);
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"a.safetensors", "b.safetensors", "model.safetensors",
                                        "model.safetensors.index.json", "out.gguf"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* A file with this header and n_data bytes 0, 1, 2, ..., in a static buffer. */
static pf_slice make_file(const char *header, size_t n_data) {
    static uint8_t bytes[1 << 16];
    uint64_t size = strlen(header);
    assert_true(8 + size + n_data <= sizeof bytes);
    memcpy(bytes, &size, 8);
    memcpy(bytes + 8, header, size);
    for (size_t i = 0; i < n_data; i++) bytes[8 + size + i] = (uint8_t)i;
    return (pf_slice){bytes, 8 + size + n_data};
}

static void write_file(const char *name, pf_slice bytes) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void tensors_keep_their_names_and_bytes(void **state) {
    (void)state;
    pf_error error = {""};
    pf_slice file =
        make_file("{\"__metadata__\": {\"format\": \"pt\"},"
                  " \"w\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [0, 24]},"
                  " \"mask\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [24, 28]},"
                  " \"b\": {\"dtype\": \"BF16\", \"shape\": [3], \"data_offsets\": [28, 34]},"
                  " \"scale\": {\"dtype\": \"F16\", \"shape\": [], \"data_offsets\": [34, 36]}}",
                  36);
    assert_true(pf_safetensors_sniff(file));
    pf_checkpoint *c = pf_checkpoint_open_bytes(file, "made", &error);
    if (!c) fail_msg("%s", error.message);
    assert_int_equal(pf_checkpoint_n_tensors(c), 3); /* the mask is left out */
    const pf_tensor *w = pf_checkpoint_find(c, "w");
    assert_true(w->type == PF_F32 && w->n_dims == 2 && w->shape[0] == 3 && w->shape[1] == 2);
    assert_int_equal(((const uint8_t *)w->data)[5], 5);
    const pf_tensor *b = pf_checkpoint_find(c, "b");
    assert_true(b->type == PF_BF16 && b->n_dims == 1 && b->shape[0] == 3);
    assert_int_equal(((const uint8_t *)b->data)[0], 28);
    const pf_tensor *scale = pf_checkpoint_find(c, "scale");
    assert_true(scale->type == PF_F16 && scale->n_dims == 1 && scale->shape[0] == 1);
    pf_checkpoint_free(c);
}

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"w\": {\"dtype\": \"" dtype "\", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header, *reason;
    } cases[] = {
        {ENTRY("F32", "[2]", "[0, 7]"), "its shape needs 8"},
        {ENTRY("F32", "[2]", "[60, 68]"), "beyond the end of the file"},
        {ENTRY("F32", "[2]", "[8, 0]"), "no data_offsets"},
        {ENTRY("F32", "[2]", "[-8, 0]"), "no data_offsets"},
        {ENTRY("F32", "[2]", "[0]"), "no data_offsets"},
        {ENTRY("F32", "[0]", "[0, 0]"), "number above 0"},
        {ENTRY("F32", "[-1]", "[0, 4]"), "number above 0"},
        {ENTRY("F32", "[1.5]", "[0, 4]"), "number above 0"},
        {ENTRY("F32", "[4611686018427387904, 4]", "[0, 0]"), "overflows"},
        {ENTRY("F32", "[4294967296, 4294967296]", "[0, 4]"), "overflows"},
        {ENTRY("F32", "[99999999999999999999]", "[0, 4]"), "number above 0"},
        {ENTRY("F32", "[1, 1, 1, 1, 1]", "[0, 4]"), "more than 4 dimensions"},
        {ENTRY("F32", "{}", "[0, 4]"), "no shape"},
        {ENTRY("F8_E4M3", "[4]", "[0, 4]"), "F8_E4M3, which is not supported"},
        {ENTRY("F64", "[1]", "[0, 8]"), "supported: F32, F16 and BF16"},
        {"{\"w\": 7}", "unknown, which is not supported"},
        {"{\"w\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"v\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [3, 7]}}",
         "overlap"},
        {"{\"w\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"w\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [4, 8]}}",
         "duplicate object key"},
        {"{\"\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", "empty name"},
        {"{\"w\": {", "wrong in line 1"},
        {"{\"w\": \"\\ud800\"}", "wrong in line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        pf_slice file = make_file(cases[i].header, 64);
        assert_null(pf_checkpoint_open_bytes(file, "made", &error));
        ASSERT_SAYS(error, cases[i].reason);
        ASSERT_SAYS(error, "made: ");
    }
}

static void deep_and_long_headers_cost_nothing(void **state) {
    (void)state;
    pf_error error = {""};
    size_t size = (size_t)32 << 20;
    uint8_t *bytes = pf_calloc(size, 1, "a file", &error);
    assert_non_null(bytes);
    uint64_t header = size - 8;
    memcpy(bytes, &header, 8);
    memset(bytes + 8, '[', size - 8);
    memcpy(bytes + 8, "{\"a\":", 5);
    assert_null(pf_checkpoint_open_bytes((pf_slice){bytes, size}, "made", &error));
    ASSERT_SAYS(error, "at most 8388608 are expected");
    header = (uint64_t)4 << 20;
    memcpy(bytes, &header, 8);
    assert_null(pf_checkpoint_open_bytes((pf_slice){bytes, size}, "made", &error));
    ASSERT_SAYS(error, "nested deeper than 8");
    for (size_t i = 14; i < size; i++) bytes[i] = i % 2 ? '1' : ',';
    assert_null(pf_checkpoint_open_bytes((pf_slice){bytes, size}, "made", &error));
    ASSERT_SAYS(error, "more than the 400000 values");
    header = UINT64_C(1) << 32;
    memcpy(bytes, &header, 8);
    assert_null(pf_checkpoint_open_bytes((pf_slice){bytes, size}, "made", &error));
    ASSERT_SAYS(error, "4294967296 bytes, which is more than the file");
    header = UINT64_MAX;
    memcpy(bytes, &header, 8);
    assert_null(pf_checkpoint_open_bytes((pf_slice){bytes, size}, "made", &error));
    ASSERT_SAYS(error, "more than the file");
    pf_free(bytes);
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    pf_slice file = make_file(ENTRY("F32", "[2]", "[0, 8]"), 8);
    uint8_t copy[256];
    for (size_t n = 0; n < file.size; n++) {
        pf_error error = {""};
        memcpy(copy, file.data, n);
        pf_checkpoint *c = pf_checkpoint_open_bytes((pf_slice){copy, n}, "cut", &error);
        assert_null(c);
        ASSERT_SAYS(error, "cut: ");
    }
}

static void shards_are_read_from_their_own_folder_only(void **state) {
    (void)state;
    pf_error error = {""};
    static const struct {
        const char *index, *reason; /* NULL: good */
    } cases[] = {
        {"{\"weight_map\": {\"w\": \"a.safetensors\", \"v\": \"b.safetensors\"}}", NULL},
        {"{\"weight_map\": {\"w\": \"../a.safetensors\"}}",
         "not the name of a file in this folder"},
        {"{\"weight_map\": {\"w\": \"/etc/passwd\"}}", "not the name of a file in this folder"},
        {"{\"weight_map\": {\"w\": \"..\"}}", "not the name of a file in this folder"},
        {"{\"weight_map\": {\"w\": 7}}", "not the name of a file in this folder"},
        {"{\"weight_map\": {\"w\": \"missing.safetensors\"}}", "missing.safetensors"},
        {"{\"weight_map\": {\"w\": \"a.safetensors\", \"v\": \"model.safetensors.index.json\"}}",
         "index.json: "},
        {"{\"weight_map\": {}}", "no weight_map"},
        {"{\"weight_map\": 7}", "no weight_map"},
    };
    write_file("a.safetensors", make_file(ENTRY("F32", "[2]", "[0, 8]"), 8));
    write_file(
        "b.safetensors",
        make_file("{\"v\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 4));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_slice index = {(const uint8_t *)cases[i].index, strlen(cases[i].index)};
        write_file("model.safetensors.index.json", index);
        pf_checkpoint *c = pf_checkpoint_new(folder, &error);
        assert_non_null(c);
        bool good = pf_safetensors_read_folder(folder, c, &error);
        if (good != !cases[i].reason) fail_msg("case %zu: %s", i, error.message);
        if (cases[i].reason) ASSERT_SAYS(error, cases[i].reason);
        if (good) assert_true(pf_checkpoint_find(c, "w") && pf_checkpoint_find(c, "v"));
        pf_checkpoint_free(c);
    }
    write_file("model.safetensors",
               make_file(ENTRY("F32", "[2]", "[0, 8]"), 8)); /* preferred to the index */
    pf_checkpoint *c = pf_checkpoint_new(folder, &error);
    assert_true(pf_safetensors_read_folder(folder, c, &error));
    assert_int_equal(pf_checkpoint_n_tensors(c), 1);
    pf_checkpoint_free(c);
    c = pf_checkpoint_new("/proc", &error);
    assert_false(pf_safetensors_read_folder("/proc", c, &error));
    ASSERT_SAYS(error, "neither model.safetensors nor");
    pf_checkpoint_free(c);
}

static bool count_up(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    float value = *(const float *)context;
    if (value < 0) return pf_fail(error, "the tensor %s cannot be made", tensor->name);
    for (size_t i = 0; i < tensor->bytes / sizeof value; i++)
        memcpy((float *)out + i, &(float){value + (float)i}, sizeof value);
    return true;
}

static void tensors_are_made_when_they_are_written(void **state) {
    (void)state;
    pf_error error = {""};
    char path[128];
    const float first = 3, bad = -1;
    const uint64_t shape[] = {32, 2};
    snprintf(path, sizeof path, "%s/out.gguf", folder);
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    assert_true(
        pf_checkpoint_add_made_tensor(c, "a", PF_F32, 2, shape, 256, count_up, &first, &error));
    assert_true(
        pf_checkpoint_add_made_tensor(c, "b", PF_F32, 1, shape, 128, count_up, &first, &error));
    const pf_gguf_options options = {.convert = true, .type = PF_F16};
    if (!pf_gguf_write(c, path, &options, &error)) fail_msg("%s", error.message);
    assert_null(pf_checkpoint_find(c, "a")->data); /* not kept */
    pf_checkpoint *back = pf_checkpoint_open(path, &error);
    assert_non_null(back);
    const uint16_t *halves = pf_checkpoint_find(back, "a")->data;
    assert_int_equal(halves[0], 0x4200);  /* 3 */
    assert_int_equal(halves[63], 0x5420); /* 66 */
    const float *floats = pf_checkpoint_find(back, "b")->data;
    assert_true(floats[31] == 34);
    pf_checkpoint_free(back);

    assert_true(pf_checkpoint_need_data(c, pf_checkpoint_find(c, "a"), &error));
    assert_true(((const float *)pf_checkpoint_find(c, "a")->data)[63] == 66);
    assert_true(
        pf_checkpoint_add_made_tensor(c, "c", PF_F32, 1, shape, 128, count_up, &bad, &error));
    unlink(path);
    assert_false(pf_gguf_write(c, path, &options, &error));
    ASSERT_SAYS(error, "the tensor c cannot be made");
    assert_int_not_equal(access(path, F_OK), 0); /* no partial output */
    pf_checkpoint_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_keep_their_names_and_bytes),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(deep_and_long_headers_cost_nothing),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(shards_are_read_from_their_own_folder_only),
        cmocka_unit_test(tensors_are_made_when_they_are_written),
    };
    return cmocka_run_group_tests_name("safetensors", tests, make_folder, remove_folder);
}
