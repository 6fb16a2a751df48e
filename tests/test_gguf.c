/* floor 6.1 - test_gguf: what is written is read back; what is hostile is refused in a sentence. */
#define _XOPEN_SOURCE 700 /* glob, getpid */
#include "formats.h"
#include "gguf_write.h"
#include "memory.h"
#include "quant.h"
#include "testing.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA "../shared/data/"
#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text)) fail_msg("\"%s\" lacks \"%s\"", (error).message, text); \
    } while (0)

static char path[64], moved[64];

static int make_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/performer-test-gguf-%ld.gguf", (long)getpid());
    snprintf(moved, sizeof moved, "/tmp/performer-test-gguf-%ld-moved.gguf", (long)getpid());
    return 0;
}

static int remove_path(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

/* ---- round trips ---- */

#define COLS 64
#define ROWS 5

/* One of everything that a checkpoint can hold. */
static pf_checkpoint *make_checkpoint(void) {
    pf_error error = {""};
    pf_checkpoint *c = pf_checkpoint_new("fixture", &error);
    assert_non_null(c);
    const pf_text texts[] = {{"a", 1}, {"", 0}, {"c\0d", 3}};
    const float floats[] = {1.5f, -2.0f, 3.25f};
    const int8_t bytes[] = {-1, 2, 3, 4, 5};
    assert_true(pf_checkpoint_set_text(c, "general.architecture", "llama", 5, &error));
    assert_true(pf_checkpoint_set_u32(c, "llama.block_count", 7, &error));
    assert_true(pf_checkpoint_set_u32(c, "llama.block_count", 2, &error)); /* replaces */
    assert_true(pf_checkpoint_set_u64(c, "performer.seed", UINT64_MAX, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.freq_base", 1e6f, &error));
    assert_true(pf_checkpoint_set_bool(c, "performer.tail_rope", true, &error));
    assert_true(pf_checkpoint_set_texts(c, "texts", texts, 3, &error));
    assert_true(pf_checkpoint_set_array(c, "bytes", PF_META_I8, bytes, 5, &error));
    assert_true(pf_checkpoint_set_array(c, "floats", PF_META_F32, floats, 3, &error));
    assert_true(pf_checkpoint_put_meta(c, "minus", 5, (pf_meta){.type = PF_META_I16, .value.i = -3}, &error));
    assert_true(pf_checkpoint_put_meta(c, "double", 6, (pf_meta){.type = PF_META_F64, .value.f = 0.1}, &error));

    float *values = pf_checkpoint_alloc(c, COLS * ROWS * sizeof(float), "weights", &error);
    assert_non_null(values);
    for (int i = 0; i < COLS * ROWS; i++) values[i] = sinf((float)i) * (1.0f + (float)(i / 32));
    const uint64_t matrix[] = {COLS, ROWS}, odd[] = {10, 4}, vector[] = {48}, cube[] = {8, 8, 4};
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_q.weight", PF_F32, 2, matrix, values,
                                         COLS * ROWS * sizeof(float), &error));
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.ffn_down.weight", PF_F32, 2, odd, values, 160, &error));
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F32, 1, vector, values, 192, &error));
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.favor.projection", PF_F32, 3, cube, values, 1024, &error));
    assert_false(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F32, 1, vector, values, 192, &error));
    ASSERT_SAYS(error, "twice");
    return c;
}

static pf_checkpoint *write_and_open(const pf_checkpoint *source, const pf_gguf_options *options) {
    pf_error error = {""};
    if (!pf_gguf_write(source, path, options, &error)) fail_msg("%s", error.message);
    pf_checkpoint *copy = pf_checkpoint_open(path, &error);
    if (!copy) fail_msg("%s", error.message);
    return copy;
}

static void keys_and_tensors_come_back(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *source = make_checkpoint();
    pf_checkpoint *copy = write_and_open(source, &(pf_gguf_options){0});
    assert_int_equal(pf_checkpoint_n_meta(copy), pf_checkpoint_n_meta(source));
    uint32_t blocks = 0;
    uint64_t seed = 0;
    float base = 0;
    bool tail = false;
    assert_true(pf_checkpoint_get_u32(copy, "llama.block_count", &blocks, &error));
    assert_true(pf_checkpoint_get_u64(copy, "performer.seed", &seed, &error));
    assert_true(pf_checkpoint_get_f32(copy, "llama.rope.freq_base", &base, &error));
    assert_true(pf_checkpoint_get_bool(copy, "performer.tail_rope", &tail, &error));
    assert_int_equal(blocks, 2);
    assert_true(seed == UINT64_MAX);
    assert_true(base == 1e6f && tail);
    assert_int_equal(pf_checkpoint_find_meta(copy, "minus")->value.i, -3);
    assert_true(pf_checkpoint_find_meta(copy, "double")->value.f == 0.1);
    const void *array = NULL;
    size_t count = 0;
    assert_true(pf_checkpoint_get_array(copy, "texts", PF_META_STRING, &array, &count, &error));
    assert_int_equal(count, 3);
    const pf_text *texts = array;
    assert_int_equal(texts[2].size, 3);
    assert_memory_equal(texts[2].bytes, "c\0d", 3);
    assert_true(pf_checkpoint_get_array(copy, "floats", PF_META_F32, &array, &count, &error));
    float floats[3];
    memcpy(floats, array, sizeof floats);
    assert_true(floats[2] == 3.25f);

    assert_int_equal(pf_checkpoint_n_tensors(copy), 4);
    for (size_t i = 0; i < 4; i++) {
        const pf_tensor *a = pf_checkpoint_tensor(source, i), *b = pf_checkpoint_find(copy, a->name);
        assert_non_null(b);
        assert_int_equal((uintptr_t)b->data % 32, 0);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    pf_checkpoint_free(copy);
    pf_checkpoint_free(source);
}

static void values_are_read_with_their_type(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *c = make_checkpoint();
    uint32_t number = 5;
    float value = 2.0f;
    assert_true(pf_checkpoint_get_u32(c, "absent", &number, &error));
    assert_int_equal(number, 5);
    assert_false(pf_checkpoint_get_u32(c, "performer.seed", &number, &error)); /* too large */
    ASSERT_SAYS(error, "performer.seed");
    assert_false(pf_checkpoint_get_u32(c, "minus", &number, &error));
    ASSERT_SAYS(error, "negative");
    assert_false(pf_checkpoint_get_u32(c, "general.architecture", &number, &error));
    ASSERT_SAYS(error, "string");
    assert_false(pf_checkpoint_get_f32(c, "bytes", &value, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.freq_base", NAN, &error));
    assert_false(pf_checkpoint_get_f32(c, "llama.rope.freq_base", &value, &error));
    ASSERT_SAYS(error, "finite");
    assert_true(value == 2.0f);
    pf_checkpoint_free(c);
}

static void the_index_finds_thousands_of_names(void **state) {
    (void)state;
    pf_error error = {""};
    char key[32];
    pf_checkpoint *c = pf_checkpoint_new("many", &error);
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key.%u", i);
        assert_true(pf_checkpoint_set_u32(c, key, i, &error));
    }
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t value = 0;
        snprintf(key, sizeof key, "key.%u", i);
        assert_true(pf_checkpoint_get_u32(c, key, &value, &error));
        assert_int_equal(value, i);
    }
    assert_null(pf_checkpoint_find_meta(c, "key.5000"));
    assert_null(pf_checkpoint_find_meta(c, "key."));
    pf_checkpoint_free(c);
}

static void matrices_are_converted_and_vectors_are_not(void **state) {
    (void)state;
    static const pf_type types[] = {PF_F32, PF_F16, PF_BF16, PF_Q8_0, PF_Q4_0};
    static const float tolerance[] = {0, 1e-3f, 8e-3f, 1e-2f, 0.2f}; /* of the largest value of a block */
    static const uint32_t file_types[] = {0, 1, 32, 7, 2};
    pf_error error = {""};
    pf_checkpoint *source = make_checkpoint();
    for (size_t t = 0; t < 5; t++) {
        pf_checkpoint *copy = write_and_open(source, &(pf_gguf_options){.convert = true, .type = types[t]});
        const pf_tensor *q = pf_checkpoint_find(copy, "blk.0.attn_q.weight");
        assert_int_equal(q->type, types[t]);
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.attn_norm.weight")->type, PF_F32);
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.favor.projection")->type, PF_F32);
        bool blocks = types[t] == PF_Q8_0 || types[t] == PF_Q4_0; /* of 32, and this has rows of 10 */
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.ffn_down.weight")->type, blocks ? PF_F32 : types[t]);
        uint32_t file_type = 99;
        assert_true(pf_checkpoint_get_u32(copy, "general.file_type", &file_type, &error));
        assert_int_equal(file_type, file_types[t]);

        float values[COLS * ROWS];
        const float *expected = pf_checkpoint_find(source, "blk.0.attn_q.weight")->data;
        pf_dequantize_row(q->type, q->data, values, COLS * ROWS);
        for (int i = 0; i < COLS * ROWS; i++)
            assert_true(fabsf(values[i] - expected[i]) <= tolerance[t] * (1.0f + (float)(i / 32)));
        /* The same type again: the same bytes. */
        pf_checkpoint_free(source);
        source = copy;
        rename(path, moved);
        copy = write_and_open(source, &(pf_gguf_options){.convert = true, .type = types[t]});
        assert_memory_equal(pf_checkpoint_find(copy, "blk.0.attn_q.weight")->data,
                            pf_checkpoint_find(source, "blk.0.attn_q.weight")->data,
                            pf_checkpoint_find(source, "blk.0.attn_q.weight")->bytes);
        pf_checkpoint_free(copy);
        pf_checkpoint_free(source);
        unlink(moved);
        source = make_checkpoint();
    }
    assert_false(pf_gguf_write(source, path, &(pf_gguf_options){.convert = true, .type = PF_Q4_K}, &error));
    ASSERT_SAYS(error, "q4_k");
    pf_checkpoint_free(source);
}

typedef struct {
    uint64_t done, total;
} seen;

static void note_progress(void *context, const char *tensor, uint64_t done, uint64_t total) {
    seen *so_far = context;
    assert_non_null(tensor);
    assert_true(done > so_far->done);
    *so_far = (seen){done, total};
}

static void large_tensors_go_through_in_chunks(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *source = pf_checkpoint_new("large", &error);
    const uint64_t shape[] = {96, 3000}; /* chunks of 65536 values end in the middle of rows */
    float *values = pf_checkpoint_alloc(source, 96 * 3000 * sizeof(float), "weights", &error);
    assert_non_null(values);
    for (int i = 0; i < 96 * 3000; i++) values[i] = (float)(i % 1013) - 500.0f;
    assert_true(pf_checkpoint_add_tensor(source, "w", PF_F32, 2, shape, values, 96 * 3000 * 4, &error));
    seen so_far = {0, 0};
    pf_checkpoint *copy = write_and_open(
        source, &(pf_gguf_options){.convert = true, .type = PF_Q8_0, .progress = note_progress, .context = &so_far});
    const pf_tensor *w = pf_checkpoint_find(copy, "w");
    uint8_t row[34 * 3];
    for (size_t r = 0; r < 3000; r++) {
        pf_quantize_row(PF_Q8_0, values + r * 96, row, 96);
        assert_memory_equal((const uint8_t *)w->data + r * sizeof row, row, sizeof row);
    }
    assert_true(so_far.done == so_far.total && so_far.total == w->bytes);
    pf_checkpoint_free(copy);
    pf_checkpoint_free(source);
}

static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *source = make_checkpoint();
    pf_checkpoint_free(write_and_open(source, &(pf_gguf_options){0}));
    bool done = false;
    for (long n = 1; !done; n++) {
        error.message[0] = '\0';
        pf_memory_fail_after(n);
        pf_checkpoint *copy = pf_checkpoint_open(path, &error);
        done = copy && pf_gguf_write(copy, path, &(pf_gguf_options){.convert = true, .type = PF_F16}, &error);
        pf_memory_fail_after(0);
        pf_checkpoint_free(copy);
        if (!done) ASSERT_SAYS(error, "memory");
        assert_true(n < 1000);
    }
    pf_checkpoint_free(source);
}

/* ---- hostile files, built byte by byte ---- */

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
static void put_tensor(image *out, const char *name, uint64_t cols, uint64_t rows, uint32_t type, uint64_t offset) {
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
    assert_refused(&in, "promises");
    put_header(&in, 3, UINT64_MAX / 2, 0);
    assert_refused(&in, "promises");
    put_header(&in, 3, 0, 0);
    for (in.size = 4; in.size < 24; in.size++) assert_refused(&in, "header");
    in.size = 3;
    assert_refused(&in, "no checkpoint");
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
    assert_refused(&in, "4 parts of a split model");
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
        {4, 1, 4, 0, "type 4, which is not supported; supported are f32, f16, q4_0"},
        {4, 1, UINT32_MAX, 0, "not supported"},
        {33, 1, PF_Q8_0, 0, "multiple"},
        {4, 1, PF_F32, 7, "aligned"},
        {4, 1, PF_F32, UINT64_MAX - 31, "beyond the end"},
        {4, 1, PF_F32, 1024, "beyond the end"},
        {1 << 20, 1 << 20, PF_F32, 0, "beyond the end"},
        {16, 1, PF_F32, 32, "overlap"}, /* its second half is where z begins */
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

/* ---- real files ---- */

static void real_files_open(void **state) {
    (void)state;
    static const struct {
        const char *file;
        size_t n_tensors, n_keys;
        const char *tensor;
        pf_type type;
    } files[] = {
        {"models/stories260K/stories260Ktok512.gguf", 48, 19, "output.weight", PF_F32},
        {"models/families/llama/llama-q8_0.gguf", 20, 22, "blk.1.attn_q.weight", PF_Q8_0},
        {"models/families/llama/llama-bf16.gguf", 20, 22, "blk.1.attn_q.weight", PF_BF16},
        {"models/families/llama/llama256-q2_k.gguf", 20, 22, "blk.1.attn_q.weight", PF_Q2_K},
        {"models/families/llama/llama256-q4_k_m-mixed.gguf", 20, 22, "token_embd.weight", PF_Q6_K},
        {"models/families/phi3/phi3-q4_0-mixed.gguf", 15, 22, "blk.0.attn_qkv.weight", PF_Q4_0},
        {"models/families/qwen2/qwen2-f32.gguf", 26, 21, "blk.0.attn_q.bias", PF_F32},
        {"models/families/gpt2/gpt2-f32.gguf", 28, 17, "position_embd.weight", PF_F32},
        {"tokenizers/gpt2/ggml-vocab-gpt-2.gguf", 0, 16, NULL, PF_F32},
        {"tokenizers/phi-3/ggml-vocab-phi-3.gguf", 0, 26, NULL, PF_F32},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[128];
        pf_error error = {""};
        snprintf(name, sizeof name, DATA "%s", files[i].file);
        need_file(name);
        pf_checkpoint *checkpoint = pf_checkpoint_open(name, &error);
        if (!checkpoint) fail_msg("%s", error.message);
        assert_int_equal(pf_checkpoint_n_tensors(checkpoint), files[i].n_tensors);
        assert_int_equal(pf_checkpoint_n_meta(checkpoint), files[i].n_keys);
        if (files[i].tensor) {
            const pf_tensor *tensor = pf_checkpoint_find(checkpoint, files[i].tensor);
            assert_non_null(tensor);
            assert_int_equal(tensor->type, files[i].type);
        }
        pf_checkpoint_free(checkpoint);
    }
}

static void real_files_are_rewritten_bit_for_bit(void **state) {
    (void)state;
    glob_t found;
    pf_error error = {""};
    if (glob(DATA "models/families/*/*.gguf", 0, NULL, &found) != 0)
        SKIP_BECAUSE("%smodels/families is not there", DATA);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        pf_checkpoint *source = pf_checkpoint_open(found.gl_pathv[i], &error);
        if (!source) fail_msg("%s", error.message);
        pf_checkpoint *copy = write_and_open(source, &(pf_gguf_options){0});
        assert_int_equal(pf_checkpoint_n_meta(copy), pf_checkpoint_n_meta(source));
        for (size_t t = 0; t < pf_checkpoint_n_tensors(source); t++) {
            const pf_tensor *a = pf_checkpoint_tensor(source, t), *b = pf_checkpoint_tensor(copy, t);
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->type, b->type);
            assert_int_equal(a->bytes, b->bytes);
            assert_memory_equal(a->data, b->data, a->bytes);
        }
        pf_checkpoint_free(copy);
        pf_checkpoint_free(source);
    }
    globfree(&found);
}

/* The bytes move to the end of a block of their own, so that a sanitizer sees one read too many. */
static void truncation_is_refused(void **state) {
    (void)state;
    pf_error error = {""};
    pf_file file;
    pf_checkpoint *source = make_checkpoint();
    pf_checkpoint_free(write_and_open(source, &(pf_gguf_options){0}));
    pf_checkpoint_free(source);
    const char *files[] = {path, DATA "models/stories260K/stories260Ktok512.gguf"};
    for (size_t f = 0; f < 2; f++) {
        if (f == 1) need_file(files[f]);
        assert_true(pf_file_open(files[f], &file, &error));
        for (size_t size = 0; size < file.bytes.size; size += f == 0 ? 1 : 997) {
            if (f == 0 && size + 32 > file.bytes.size) break; /* the padding at the end is nobody's */
            uint8_t *bytes = malloc(size ? size : 1);
            assert_non_null(bytes);
            memcpy(bytes, file.bytes.data, size);
            error.message[0] = '\0';
            pf_checkpoint *cut = pf_checkpoint_open_bytes((pf_slice){bytes, size}, "cut.gguf", &error);
            if (cut) fail_msg("%s cut to %zu bytes opens", files[f], size);
            ASSERT_SAYS(error, "cut.gguf: ");
            free(bytes);
        }
        pf_file_close(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_tensors_come_back),
        cmocka_unit_test(values_are_read_with_their_type),
        cmocka_unit_test(the_index_finds_thousands_of_names),
        cmocka_unit_test(matrices_are_converted_and_vectors_are_not),
        cmocka_unit_test(large_tensors_go_through_in_chunks),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(a_file_made_by_hand_opens),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_keys_are_refused),
        cmocka_unit_test(hostile_tensors_are_refused),
        cmocka_unit_test(real_files_open),
        cmocka_unit_test(real_files_are_rewritten_bit_for_bit),
        cmocka_unit_test(truncation_is_refused),
    };
    return cmocka_run_group_tests_name("gguf", tests, make_path, remove_path);
}
