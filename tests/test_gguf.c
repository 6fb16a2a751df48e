/* floor 6.2 - test_gguf: a file that is written can be read back, bit for bit unless converted. */
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
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
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

/* The largest value in the block of 32 that has i. Blocks differ, so a wrong scale is noticed. */
static float block_size(int i) {
    int block = i / 32;
    return 1.0f + (float)block;
}

/* A checkpoint with one of everything that it can hold. */
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
    assert_true(pf_checkpoint_put_meta(c, "minus", 5, (pf_meta){.type = PF_META_I16, .value.i = -3},
                                       &error));
    assert_true(pf_checkpoint_put_meta(c, "double", 6,
                                       (pf_meta){.type = PF_META_F64, .value.f = 0.1}, &error));

    float *values = pf_checkpoint_alloc(c, COLS * ROWS * sizeof(float), "weights", &error);
    assert_non_null(values);
    for (int i = 0; i < COLS * ROWS; i++) values[i] = sinf((float)i) * block_size(i);
    const uint64_t matrix[] = {COLS, ROWS}, odd[] = {10, 4}, vector[] = {48}, cube[] = {8, 8, 4};
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_q.weight", PF_F32, 2, matrix, values,
                                         COLS * ROWS * sizeof(float), &error));
    assert_true(
        pf_checkpoint_add_tensor(c, "blk.0.ffn_down.weight", PF_F32, 2, odd, values, 160, &error));
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F32, 1, vector, values,
                                         192, &error));
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.favor.projection", PF_F32, 3, cube, values, 1024,
                                         &error));
    assert_false(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F32, 1, vector, values,
                                          192, &error));
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
        const pf_tensor *a = pf_checkpoint_tensor(source, i),
                        *b = pf_checkpoint_find(copy, a->name);
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

/* The other keys move, and must be found both before and after the next key is set. */
static void keys_can_be_dropped(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *c = pf_checkpoint_new("dropped", &error);
    char key[32];
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "%s.%u", i % 3 == 0 ? "drop" : "keep", i);
        assert_true(pf_checkpoint_set_u32(c, key, i, &error));
    }
    pf_checkpoint_drop_meta(c, "drop.");
    for (int set = 0; set < 2; set++) {
        assert_int_equal(pf_checkpoint_n_meta(c), 200 + set);
        for (uint32_t i = 0; i < 300; i++) {
            uint32_t number = UINT32_MAX;
            snprintf(key, sizeof key, "%s.%u", i % 3 == 0 ? "drop" : "keep", i);
            assert_true(pf_checkpoint_get_u32(c, key, &number, &error));
            bool is_there = i % 3 != 0 || (set == 1 && i == 0);
            assert_int_equal(number, is_there ? i : UINT32_MAX);
        }
        if (set == 1) break;
        pf_memory_fail_after(1);
        assert_false(pf_checkpoint_set_u32(c, "drop.0", 0, &error));
        pf_memory_fail_after(0);
        assert_true(pf_checkpoint_set_u32(c, "keep.1", 1, &error)); /* replaces */
        assert_true(pf_checkpoint_set_u32(c, "drop.0", 0, &error));
    }
    assert_string_equal(pf_checkpoint_meta(c, 0)->key, "keep.1"); /* the order remains */
    assert_string_equal(pf_checkpoint_meta(c, 200)->key, "drop.0");
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
    static const float tolerance[] = {0, 1e-3f, 8e-3f, 1e-2f,
                                      0.2f}; /* as a fraction of the largest value in a block */
    static const uint32_t file_types[] = {0, 1, 32, 7, 2};
    pf_error error = {""};
    pf_checkpoint *source = make_checkpoint();
    for (size_t t = 0; t < 5; t++) {
        pf_checkpoint *copy =
            write_and_open(source, &(pf_gguf_options){.convert = true, .type = types[t]});
        const pf_tensor *q = pf_checkpoint_find(copy, "blk.0.attn_q.weight");
        assert_int_equal(q->type, types[t]);
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.attn_norm.weight")->type, PF_F32);
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.favor.projection")->type, PF_F32);
        bool blocks =
            types[t] == PF_Q8_0 || types[t] == PF_Q4_0; /* blocks of 32 do not fit rows of 10 */
        assert_int_equal(pf_checkpoint_find(copy, "blk.0.ffn_down.weight")->type,
                         blocks ? PF_F32 : types[t]);
        uint32_t file_type = 99;
        assert_true(pf_checkpoint_get_u32(copy, "general.file_type", &file_type, &error));
        assert_int_equal(file_type, file_types[t]);

        float values[COLS * ROWS];
        const float *expected = pf_checkpoint_find(source, "blk.0.attn_q.weight")->data;
        pf_dequantize_row(q->type, q->data, values, COLS * ROWS);
        for (int i = 0; i < COLS * ROWS; i++)
            assert_true(fabsf(values[i] - expected[i]) <= tolerance[t] * block_size(i));
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
    assert_false(
        pf_gguf_write(source, path, &(pf_gguf_options){.convert = true, .type = PF_Q4_K}, &error));
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
    assert_true(
        pf_checkpoint_add_tensor(source, "w", PF_F32, 2, shape, values, 96 * 3000 * 4, &error));
    seen so_far = {0, 0};
    pf_checkpoint *copy = write_and_open(source, &(pf_gguf_options){.convert = true,
                                                                    .type = PF_Q8_0,
                                                                    .progress = note_progress,
                                                                    .context = &so_far});
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
        done = copy && pf_gguf_write(copy, path,
                                     &(pf_gguf_options){.convert = true, .type = PF_F16}, &error);
        pf_memory_fail_after(0);
        pf_checkpoint_free(copy);
        if (!done) ASSERT_SAYS(error, "memory");
        assert_true(n < 1000);
    }
    pf_checkpoint_free(source);
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
            const pf_tensor *a = pf_checkpoint_tensor(source, t),
                            *b = pf_checkpoint_tensor(copy, t);
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

/* Moves the bytes to the end of an allocated block, so that a sanitizer notices a read beyond
 * them. */
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
            if (f == 0 && size + 32 > file.bytes.size) break; /* only padding is missing */
            uint8_t *bytes = malloc(size ? size : 1);
            assert_non_null(bytes);
            memcpy(bytes, file.bytes.data, size);
            error.message[0] = '\0';
            pf_checkpoint *cut =
                pf_checkpoint_open_bytes((pf_slice){bytes, size}, "cut.gguf", &error);
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
        cmocka_unit_test(keys_can_be_dropped),
        cmocka_unit_test(the_index_finds_thousands_of_names),
        cmocka_unit_test(matrices_are_converted_and_vectors_are_not),
        cmocka_unit_test(large_tensors_go_through_in_chunks),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(real_files_open),
        cmocka_unit_test(real_files_are_rewritten_bit_for_bit),
        cmocka_unit_test(truncation_is_refused),
    };
    return cmocka_run_group_tests_name("gguf", tests, make_path, remove_path);
}
