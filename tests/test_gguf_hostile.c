/* floor 6.2 - test_gguf_hostile: malicious GGUF files, built byte by byte, are refused with a
 * message. */
#include "formats.h"
#include "testing.h"

#include <string.h>

#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

typedef struct {
    uint8_t bytes[4096];
    size_t size;
} image;

static void put(image *out, const void *bytes, size_t size) {
    assert_true(out->size + size <= sizeof out->bytes);
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}
static void put_u32(image *out, uint32_t value) { put(out, &value, sizeof value); }
static void put_u64(image *out, uint64_t value) { put(out, &value, sizeof value); }
static void put_text(image *out, const char *text) {
    put_u64(out, strlen(text));
    put(out, text, strlen(text));
}
static void put_header(image *out, uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
    *out = (image){.size = 0};
    put(out, "GGUF", 4);
    put_u32(out, version);
    put_u64(out, n_tensors);
    put_u64(out, n_keys);
}
static void put_u32_key(image *out, const char *key, uint32_t value) {
    put_text(out, key);
    put_u32(out, PF_META_U32);
    put_u32(out, value);
}
static void put_tensor(image *out, const char *name, uint64_t cols, uint64_t rows, uint32_t type,
                       uint64_t offset) {
    put_text(out, name);
    put_u32(out, 2);
    put_u64(out, cols);
    put_u64(out, rows);
    put_u32(out, type);
    put_u64(out, offset);
}
static void put_data(image *out, size_t size) {
    static const uint8_t zeros[1024];
    put(out, zeros, (32 - out->size % 32) % 32);
    put(out, zeros, size);
}

static pf_checkpoint *open_image(const image *in, pf_error *error) {
    return pf_checkpoint_open_bytes((pf_slice){in->bytes, in->size}, "evil.gguf", error);
}

static void assert_refused(const image *in, const char *reason) {
    pf_error error = {""};
    pf_checkpoint *checkpoint = open_image(in, &error);
    if (checkpoint) fail_msg("not refused: %s", reason);
    ASSERT_SAYS(error, "evil.gguf: ");
    ASSERT_SAYS(error, reason);
}

static void a_file_made_by_hand_opens(void **state) {
    (void)state;
    pf_error error = {""};
    image in;
    for (uint32_t version = 2; version <= 3; version++) {
        put_header(&in, version, 2, 1);
        put_u32_key(&in, "general.alignment", 8);
        put_tensor(&in, "a", 4, 1, PF_F32, 0);
        put_tensor(&in, "b", 32, 1, PF_Q8_0, 16);
        static const uint8_t zeros[64];
        put(&in, zeros, (8 - in.size % 8) % 8);
        put(&in, zeros, 50); /* exactly to the end of b */
        pf_checkpoint *checkpoint = open_image(&in, &error);
        if (!checkpoint) fail_msg("%s", error.message);
        assert_int_equal(pf_checkpoint_find(checkpoint, "b")->bytes, 34);
        pf_checkpoint_free(checkpoint);
        in.size--;
        assert_refused(&in, "beyond the end");
    }
}

static void hostile_headers_are_refused(void **state) {
    (void)state;
    image in;
    put_header(&in, 1, 0, 0);
    assert_refused(&in, "version 1");
    put_header(&in, 0x03000000, 0, 0);
    assert_refused(&in, "big-endian");
    put_header(&in, 3, 0, UINT64_MAX);
    assert_refused(&in, "claims");
    put_header(&in, 3, UINT64_MAX / 2, 0);
    assert_refused(&in, "claims");
    put_header(&in, 3, 0, 0);
    for (in.size = 4; in.size < 24; in.size++) assert_refused(&in, "header");
    in.size = 3;
    assert_refused(&in, "not a checkpoint");
}

static void hostile_keys_are_refused(void **state) {
    (void)state;
    image in;
    put_header(&in, 3, 0, 1);
    put_u64(&in, UINT64_C(4) << 30); /* a key of 4 GiB */
    put(&in, "abcdefghijklmnop", 16);
    assert_refused(&in, "truncated");
    put_header(&in, 3, 0, 1);
    put_text(&in, "general.name");
    put_u32(&in, PF_META_STRING);
    put_u64(&in, UINT64_MAX - 7);
    assert_refused(&in, "general.name");
    for (uint32_t element = 0; element <= PF_META_TYPE_COUNT; element++) {
        put_header(&in, 3, 0, 1);
        put_text(&in, "some.array");
        put_u32(&in, PF_META_ARRAY);
        put_u32(&in, element);
        put_u64(&in, (UINT64_C(1) << 61) + 1); /* times 8 is 8 */
        put_u64(&in, 0);
        assert_refused(&in, "some.array");
    }
    put_header(&in, 3, 0, 1);
    put_text(&in, "some.key");
    put_u32(&in, PF_META_TYPE_COUNT);
    put_u64(&in, 0);
    assert_refused(&in, "unknown type 13");
    put_header(&in, 3, 0, 2);
    put_u32_key(&in, "some.key", 1);
    put_u32_key(&in, "some.key", 2);
    assert_refused(&in, "some.key is there twice");
    put_header(&in, 3, 0, 1);
    put_u32_key(&in, "", 1);
    assert_refused(&in, "empty name");
    put_header(&in, 3, 0, 1);
    put_u64(&in, 3);
    put(&in, "a\0b", 3);
    put_u32(&in, PF_META_U32);
    put_u32(&in, 0);
    assert_refused(&in, "zero byte");
    static const uint32_t alignments[] = {0, 3, 48, 1u << 31};
    for (size_t i = 0; i < 4; i++) {
        put_header(&in, 3, 0, 1);
        put_u32_key(&in, "general.alignment", alignments[i]);
        assert_refused(&in, "power of two");
    }
    put_header(&in, 3, 0, 1);
    put_u32_key(&in, "split.count", 4);
    assert_refused(&in, "part 1 of 4 of a model; give the first one");
}

static void hostile_tensors_are_refused(void **state) {
    (void)state;
    static const struct {
        uint64_t cols, rows;
        uint32_t type;
        uint64_t offset;
        const char *reason;
    } cases[] = {
        {4, 0, PF_F32, 0, "empty dimension"},
        {0, 4, PF_F32, 0, "empty dimension"},
        {UINT64_C(1) << 62, 4, PF_F32, 0, "overflows"},
        {UINT64_C(1) << 33, UINT64_C(1) << 33, PF_F32, 0, "overflows"},
        {UINT64_MAX - 31, 1, PF_Q8_0, 0, "overflows"},
        {4, 1, 4, 0, "type 4, which is not supported; supported: f32, f16, q4_0"},
        {4, 1, UINT32_MAX, 0, "not supported"},
        {33, 1, PF_Q8_0, 0, "multiple"},
        {4, 1, PF_F32, 7, "aligned"},
        {4, 1, PF_F32, UINT64_MAX - 31, "beyond the end"},
        {4, 1, PF_F32, 1024, "beyond the end"},
        {1 << 20, 1 << 20, PF_F32, 0, "beyond the end"},
        {16, 1, PF_F32, 32, "overlap"}, /* z begins in its second half */
    };
    image in;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_header(&in, 3, 2, 0);
        put_tensor(&in, "z", 8, 1, PF_F32, 64);
        put_tensor(&in, "evil", cases[i].cols, cases[i].rows, cases[i].type, cases[i].offset);
        put_data(&in, 256);
        assert_refused(&in, cases[i].reason);
    }
    put_header(&in, 3, 2, 0);
    put_tensor(&in, "same", 8, 1, PF_F32, 0);
    put_tensor(&in, "same", 8, 1, PF_F32, 32);
    put_data(&in, 256);
    assert_refused(&in, "same is there twice");
    for (uint32_t dims = 0; dims < 8; dims += 5) {
        put_header(&in, 3, 1, 0);
        put_text(&in, "evil");
        put_u32(&in, dims);
        put_data(&in, 256);
        assert_refused(&in, "dimensions");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_made_by_hand_opens),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_keys_are_refused),
        cmocka_unit_test(hostile_tensors_are_refused),
    };
    return cmocka_run_group_tests_name("gguf_hostile", tests, NULL, NULL);
}
