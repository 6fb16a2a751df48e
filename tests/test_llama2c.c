/* floor 6.2 - test_llama2c: checkpoints and tokenizers of llama2.c: whole, truncated and
 * damaged. */
#include "formats.h"
#include "llama2c_tokenizer.h"
#include "memory.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#define STORIES "../shared/data/models/stories260K/"
#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

/* ---- checkpoints made here: dim 8, hidden 6, 2 layers, 2 heads, 1 kv head, vocab 5, context 3
 * ---- */

enum { C = 8, F = 6, L = 2, KV = 4, V = 5, CONTEXT = 3 };

typedef struct {
    uint8_t bytes[8192];
    size_t size;
} image;

static void put(image *out, const void *bytes, size_t size) {
    assert_true(out->size + size <= sizeof out->bytes);
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}

static void put_i32(image *out, int32_t value) { put(out, &value, sizeof value); }

/* Each number tells its origin: kind * 1000 + index. */
static void put_floats(image *out, int kind, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float value = (float)(kind * 1000 + (int)i);
        put(out, &value, sizeof value);
    }
}

static void put_shape(image *out, int32_t vocab) {
    const int32_t shape[] = {C, F, L, 2, 1, vocab, CONTEXT};
    put(out, shape, sizeof shape);
}

static void make_version_0(image *out, bool shared) {
    *out = (image){.size = 0};
    put_shape(out, shared ? V : -V);
    put_floats(out, 1, V * C);      /* embedding */
    put_floats(out, 2, L * C);      /* attention norms */
    put_floats(out, 3, L * C * C);  /* q */
    put_floats(out, 4, L * KV * C); /* k */
    put_floats(out, 5, L * KV * C); /* v */
    put_floats(out, 6, L * C * C);  /* output */
    put_floats(out, 7, L * C);      /* mlp norms */
    put_floats(out, 8, L * F * C);  /* gate */
    put_floats(out, 9, L * C * F);  /* down */
    put_floats(out, 10, L * F * C); /* up */
    put_floats(out, 11, C);         /* final norm */
    put_floats(out, 12, 2 * CONTEXT * 2);
    if (!shared) put_floats(out, 13, V * C);
}

static void make_version_1(image *out, bool shared) {
    *out = (image){.size = 0};
    put(out, "24ka", 4);
    put_i32(out, 1);
    put_shape(out, V);
    out->bytes[out->size] = shared;
    out->size = 256;
    put_floats(out, 2, L * C);
    put_floats(out, 7, L * C);
    put_floats(out, 11, C);
    put_floats(out, 1, V * C);
    put_floats(out, 3, L * C * C);
    put_floats(out, 4, L * KV * C);
    put_floats(out, 5, L * KV * C);
    put_floats(out, 6, L * C * C);
    put_floats(out, 8, L * F * C);
    put_floats(out, 9, L * C * F);
    put_floats(out, 10, L * F * C);
    if (!shared) put_floats(out, 13, V * C);
}

static pf_checkpoint *open_image(const image *in, pf_error *error) {
    return pf_checkpoint_open_bytes((pf_slice){in->bytes, in->size}, "made.bin", error);
}

static void assert_tensor(const pf_checkpoint *checkpoint, const char *name, uint64_t cols,
                          uint64_t rows, float first) {
    const pf_tensor *tensor = pf_checkpoint_find(checkpoint, name);
    if (!tensor) {
        fail_msg("no tensor %s", name);
        return;
    }
    float value;
    memcpy(&value, tensor->data, sizeof value);
    assert_true(tensor->shape[0] == cols && tensor->shape[1] == rows && tensor->type == PF_F32);
    assert_true(value == first);
}

static void both_versions_give_the_same_tensors(void **state) {
    (void)state;
    static image in;
    for (int i = 0; i < 4; i++) {
        pf_error error = {""};
        bool shared = i & 1;
        if (i < 2)
            make_version_0(&in, shared);
        else
            make_version_1(&in, shared);
        pf_checkpoint *checkpoint = open_image(&in, &error);
        if (!checkpoint) fail_msg("%s", error.message);
        assert_tensor(checkpoint, "token_embd.weight", C, V, 1000);
        assert_tensor(checkpoint, "blk.1.attn_norm.weight", C, 1, 2000 + C);
        assert_tensor(checkpoint, "blk.0.attn_q.weight", C, C, 3000);
        assert_tensor(checkpoint, "blk.1.attn_k.weight", C, KV, 4000 + KV * C);
        assert_tensor(checkpoint, "blk.1.attn_v.weight", C, KV, 5000 + KV * C);
        assert_tensor(checkpoint, "blk.1.attn_output.weight", C, C, 6000 + C * C);
        assert_tensor(checkpoint, "blk.0.ffn_norm.weight", C, 1, 7000);
        assert_tensor(checkpoint, "blk.1.ffn_gate.weight", C, F, 8000 + F * C);
        assert_tensor(checkpoint, "blk.1.ffn_down.weight", F, C, 9000 + F * C);
        assert_tensor(checkpoint, "blk.1.ffn_up.weight", C, F, 10000 + F * C);
        assert_tensor(checkpoint, "output_norm.weight", C, 1, 11000);
        if (shared)
            assert_null(pf_checkpoint_find(checkpoint, "output.weight"));
        else
            assert_tensor(checkpoint, "output.weight", C, V, 13000);
        uint32_t kv_heads = 0, rope = 0;
        assert_true(
            pf_checkpoint_get_u32(checkpoint, "llama.attention.head_count_kv", &kv_heads, &error));
        assert_true(pf_checkpoint_get_u32(checkpoint, "llama.rope.dimension_count", &rope, &error));
        assert_int_equal(kv_heads, 1);
        assert_int_equal(rope, 4);
        pf_checkpoint_free(checkpoint);
    }
}

static void a_wrong_size_names_both_numbers(void **state) {
    (void)state;
    static image in;
    char expected[32], found[32];
    for (int longer = 0; longer <= 1; longer++) {
        pf_error error = {""};
        make_version_0(&in, true);
        snprintf(expected, sizeof expected, "%zu bytes", in.size);
        in.size = longer ? in.size + 1 : in.size - 1;
        snprintf(found, sizeof found, "has %zu;", in.size);
        assert_null(open_image(&in, &error));
        ASSERT_SAYS(error, "made.bin: ");
        ASSERT_SAYS(error, expected);
        ASSERT_SAYS(error, found);
    }
}

static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const int32_t shapes[][7] = {
        {0, 6, 2, 2, 1, 5, 3},
        {8, 6, 2, 0, 1, 5, 3},
        {8, 6, 2, 2, 0, 5, 3},
        {8, 6, 2, 3, 1, 5, 3},
        {8, 6, 2, 2, 1, INT32_MIN, 3},
        {INT32_MAX, INT32_MAX, INT32_MAX, 2, 1, 5, 3},
        {8, 6, 2, 8, 1, 5, 3},
        {8, -6, 2, 2, 1, 5, 3},
        {8, 6, 2, 2, 1, 5, INT32_MAX},
        {12, 6, 2, 4, 3, 5, 3},
        {1 << 17, 1 << 20, 1 << 12, 2, 1, 1 << 24, 1 << 24},
    };
    static image in;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int version = 0; version < 2; version++) {
            pf_error error = {""};
            if (version)
                make_version_1(&in, true);
            else
                make_version_0(&in, true);
            memcpy(in.bytes + (version ? 8 : 0), shapes[i], sizeof shapes[i]);
            assert_null(open_image(&in, &error));
            ASSERT_SAYS(error, "made.bin: ");
        }
    pf_error error = {""};
    make_version_1(&in, true);
    in.bytes[4] = 2;
    assert_null(open_image(&in, &error));
    ASSERT_SAYS(error, "version 2");
    in.size = 100;
    assert_null(open_image(&in, &error));
    ASSERT_SAYS(error, "256 bytes");
}

/* ---- tokenizers ---- */

static void put_piece(image *out, float score, const char *text) {
    put(out, &score, sizeof score);
    put_i32(out, (int32_t)strlen(text));
    put(out, text, strlen(text));
}

static void make_tokenizer(image *out) {
    *out = (image){.size = 0};
    put_i32(out, 6);
    put_piece(out, 0, "<unk>");
    put_piece(out, 0, "\n<s>\n");
    put_piece(out, 0, "\n</s>\n");
    put_piece(out, 0, "<0x0A>");
    put_piece(out, -1, " a b");
}

static bool read_image(const image *in, size_t n, pf_vocabulary *v, pf_vocabulary_storage *s,
                       pf_error *e) {
    return pf_llama2c_tokenizer_read((pf_slice){in->bytes, in->size}, n, v, s, e);
}

static void pieces_get_types_and_escaped_spaces(void **state) {
    (void)state;
    static image in;
    pf_error error = {""};
    pf_vocabulary v;
    pf_vocabulary_storage storage = {0};
    make_tokenizer(&in);
    assert_true(read_image(&in, 5, &v, &storage, &error));
    assert_int_equal(v.n_pieces, 5);
    assert_int_equal(v.pieces[0].type, PF_TOKEN_UNKNOWN);
    assert_int_equal(v.pieces[1].type, PF_TOKEN_CONTROL);
    assert_memory_equal(v.pieces[1].bytes, "<s>", v.pieces[1].size);
    assert_int_equal(v.pieces[3].type, PF_TOKEN_BYTE);
    assert_int_equal(v.pieces[4].type, PF_TOKEN_NORMAL);
    assert_int_equal(v.pieces[4].size, 8);
    assert_memory_equal(v.pieces[4].bytes,
                        "\xe2\x96\x81"
                        "a\xe2\x96\x81"
                        "b",
                        8);
    assert_true(v.pieces[4].score == -1.0f);
    assert_true(v.kind == PF_TOKENIZER_SPM && v.add_bos && v.add_space_prefix && v.byte_fallback);
    assert_false(v.remove_extra_whitespaces);
    pf_vocabulary_storage_free(&storage);
}

static void damaged_tokenizers_are_refused(void **state) {
    (void)state;
    static image in;
    pf_vocabulary v;
    make_tokenizer(&in);
    for (size_t size = 0; size <= in.size + 1; size++) {
        if (size == in.size) continue;
        image *cut = malloc(sizeof *cut);
        assert_non_null(cut);
        memcpy(cut->bytes, in.bytes, size);
        cut->size = size;
        pf_error error = {""};
        pf_vocabulary_storage storage = {0};
        assert_false(read_image(cut, 5, &v, &storage, &error));
        ASSERT_SAYS(error, "tokenizer file");
        pf_vocabulary_storage_free(&storage);
        free(cut);
    }
    static const size_t sizes[] = {0, 2, 4, 6, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pf_error error = {""};
        pf_vocabulary_storage storage = {0};
        assert_false(read_image(&in, sizes[i], &v, &storage, &error));
        assert_true(error.message[0]);
        pf_vocabulary_storage_free(&storage);
    }
    const int32_t bad = -1; /* the size of the first piece */
    memcpy(in.bytes + 8, &bad, sizeof bad);
    pf_error error = {""};
    pf_vocabulary_storage storage = {0};
    assert_false(read_image(&in, 5, &v, &storage, &error));
    ASSERT_SAYS(error, "size -1");
    pf_vocabulary_storage_free(&storage);
}

/* ---- real files ---- */

static void stories260K_equals_its_published_gguf(void **state) {
    (void)state;
    pf_error error = {""};
    need_file(STORIES "stories260K.bin");
    need_file(STORIES "stories260Ktok512.gguf");
    pf_checkpoint *ours = pf_checkpoint_open(STORIES "stories260K.bin", &error);
    pf_checkpoint *theirs = pf_checkpoint_open(STORIES "stories260Ktok512.gguf", &error);
    if (!ours || !theirs) fail_msg("%s", error.message);
    assert_int_equal(pf_checkpoint_n_tensors(ours), 47);
    for (size_t i = 0; i < 47; i++) {
        const pf_tensor *a = pf_checkpoint_tensor(ours, i),
                        *b = pf_checkpoint_find(theirs, a->name);
        if (!b) {
            fail_msg("%s has no counterpart", a->name);
            return;
        }
        assert_int_equal(a->n_dims, b->n_dims);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    pf_checkpoint_free(theirs);
    pf_checkpoint_free(ours);
}

/* Calls `opens` with every prefix of the file whose length is a multiple of 997, but not with the
 * whole. */
static void for_each_prefix(const char *path, bool (*opens)(pf_slice bytes, pf_error *error)) {
    pf_file file;
    pf_error error = {""};
    need_file(path);
    assert_true(pf_file_open(path, &file, &error));
    assert_true(opens(file.bytes, &error));
    for (size_t size = 0; size < file.bytes.size; size += 997) {
        uint8_t *bytes = malloc(size ? size : 1); /* exact size, for the sanitizers */
        assert_non_null(bytes);
        memcpy(bytes, file.bytes.data, size);
        error.message[0] = '\0';
        if (opens((pf_slice){bytes, size}, &error))
            fail_msg("%s cut to %zu bytes opens", path, size);
        assert_true(error.message[0]);
        free(bytes);
    }
    pf_file_close(&file);
}

static bool opens_as_checkpoint(pf_slice bytes, pf_error *error) {
    pf_checkpoint *checkpoint = pf_checkpoint_open_bytes(bytes, "cut.bin", error);
    pf_checkpoint_free(checkpoint);
    return checkpoint != NULL;
}

static bool opens_as_tokenizer(pf_slice bytes, pf_error *error) {
    pf_vocabulary v;
    pf_vocabulary_storage storage = {0};
    bool good = pf_llama2c_tokenizer_read(bytes, 512, &v, &storage, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static void a_truncated_checkpoint_is_refused(void **state) {
    (void)state;
    for_each_prefix(STORIES "stories260K.bin", opens_as_checkpoint);
}

static void a_truncated_tokenizer_is_refused(void **state) {
    (void)state;
    for_each_prefix(STORIES "tok512.bin", opens_as_tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_give_the_same_tensors),
        cmocka_unit_test(a_wrong_size_names_both_numbers),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(pieces_get_types_and_escaped_spaces),
        cmocka_unit_test(damaged_tokenizers_are_refused),
        cmocka_unit_test(stories260K_equals_its_published_gguf),
        cmocka_unit_test(a_truncated_checkpoint_is_refused),
        cmocka_unit_test(a_truncated_tokenizer_is_refused),
    };
    return cmocka_run_group_tests_name("llama2c", tests, NULL, NULL);
}
