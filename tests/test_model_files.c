/* floor 6.1 - test_model_files: models in several files, wrapped names, several ends of a text. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "formats.h"
#include "gguf_write.h"
#include "hf.h"
#include "load.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LLAMA "tests/fixtures/families/llama.gguf"
#define HF "tests/fixtures/hf/llama/"

static char folder[] = "/tmp/test_model_files_XXXXXX";
static char written[16][160];
static int n_written;

/* The path of a file in the folder, which is removed at the end. */
static const char *in_folder(const char *name) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (int i = 0; i < n_written; i++)
        if (strcmp(written[i], path) == 0) return written[i];
    assert_true(n_written < 16);
    return strcpy(written[n_written++], path);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    for (int i = 0; i < n_written; i++) unlink(written[i]);
    return rmdir(folder);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* ---- a GGUF in several files ---- */

/* pf_gguf_write leaves split.* out, so the keys are written as splix.* first. */
static void write_part(const pf_checkpoint *whole, const char *path, uint32_t no, uint32_t count) {
    pf_error error = {""};
    pf_checkpoint *part = pf_checkpoint_new(path, &error);
    assert_non_null(part);
    size_t n = pf_checkpoint_n_tensors(whole);
    for (size_t i = 0; no == 0 && i < pf_checkpoint_n_meta(whole); i++) {
        const pf_meta *meta = pf_checkpoint_meta(whole, i);
        assert_true(pf_checkpoint_put_meta(part, meta->key, strlen(meta->key), *meta, &error));
    }
    assert_true(pf_checkpoint_set_u32(part, "splix.no", no, &error));
    assert_true(pf_checkpoint_set_u32(part, "splix.count", count, &error));
    for (size_t i = n * no / count; i < n * (no + 1) / count; i++) {
        const pf_tensor *t = pf_checkpoint_tensor(whole, i);
        assert_true(pf_checkpoint_add_tensor(part, t->name, t->type, t->n_dims, t->shape, t->data,
                                             t->bytes, &error));
    }
    pf_gguf_options options = {.convert = false};
    pf_file file;
    if (!pf_gguf_write(part, path, &options, &error) || !pf_file_open(path, &file, &error))
        fail_msg("%s", error.message);
    char *bytes = malloc(file.bytes.size);
    size_t size = file.bytes.size;
    assert_non_null(bytes);
    memcpy(bytes, file.bytes.data, size);
    pf_file_close(&file);
    for (size_t i = 0; i + 6 < size; i++)
        if (memcmp(bytes + i, "splix.", 6) == 0) bytes[i + 4] = 't';
    write_file(path, bytes, size);
    free(bytes);
    pf_checkpoint_free(part);
}

static void assert_refused(const char *path, const char *why) {
    pf_error error = {""};
    pf_checkpoint *checkpoint = pf_checkpoint_open(path, &error);
    assert_null(checkpoint);
    if (!strstr(error.message, why)) fail_msg("\"%s\" should say \"%s\"", error.message, why);
}

static void several_files(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *whole = pf_checkpoint_open(LLAMA, &error);
    assert_non_null(whole);
    const char *first = in_folder("m-00001-of-00003.gguf");
    const char *second = in_folder("m-00002-of-00003.gguf");
    const char *third = in_folder("m-00003-of-00003.gguf");
    write_part(whole, first, 0, 3);
    assert_refused(first, "m-00002-of-00003.gguf is not there");
    write_part(whole, second, 1, 3);
    write_part(whole, third, 2, 3);
    pf_loaded loaded;
    if (!pf_loaded_open(first, &loaded, &error)) fail_msg("%s", error.message);
    assert_int_equal(pf_checkpoint_n_tensors(loaded.checkpoint), pf_checkpoint_n_tensors(whole));
    for (size_t i = 0; i < pf_checkpoint_n_tensors(whole); i++) {
        const pf_tensor *a = pf_checkpoint_tensor(whole, i);
        const pf_tensor *b = pf_checkpoint_find(loaded.checkpoint, a->name);
        assert_non_null(b);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
    pf_loaded_close(&loaded);

    assert_refused(second, "this is part 2 of 3 of a model; give the first one");
    write_part(whole, second, 2, 3);
    assert_refused(first, "says that it is part 3 of 3");
    write_part(whole, second, 1, 4);
    assert_refused(first, "part 2 of 4");
    write_file(second, "GGUF", 4);
    assert_refused(first, "m-00002-of-00003.gguf: ");
    write_file(second, "version https://", 16);
    assert_refused(first, "no GGUF file");
    const char *renamed = in_folder("model.gguf");
    assert_int_equal(rename(first, renamed), 0);
    assert_refused(renamed, "does not end in -00001-of-00003.gguf");
    pf_checkpoint_free(whole);
}

/* ---- Hugging Face folders ---- */

static void copy_file(const char *name) {
    char from[160];
    pf_error error = {""};
    pf_file file;
    snprintf(from, sizeof from, HF "%s", name);
    if (!pf_file_open(from, &file, &error)) fail_msg("%s", error.message);
    write_file(in_folder(name), file.bytes.data, file.bytes.size);
    pf_file_close(&file);
}

/* The weights, with a prefix before the names of the tensors from the n-th on. */
static void write_wrapped(const char *prefix, size_t from) {
    pf_error error = {""};
    pf_file file;
    if (!pf_file_open(HF "model.safetensors", &file, &error)) fail_msg("%s", error.message);
    uint64_t size, longer = 8;
    memcpy(&size, file.bytes.data, 8);
    const char *header = (const char *)file.bytes.data + 8;
    char *bytes = malloc(2 * file.bytes.size);
    assert_non_null(bytes);
    size_t depth = 0, n = 0, quotes = 0;
    for (size_t i = 0; i < size; i++) {
        bytes[longer++] = header[i];
        if (header[i] == '{') depth++, quotes = 0;
        if (header[i] == '}') depth--, quotes = 0;
        if (depth == 1 && header[i] == '"' && quotes++ == 0 && header[i + 1] != '_' && n++ >= from)
            for (const char *p = prefix; *p; p++) bytes[longer++] = *p;
    }
    memcpy(bytes + longer, header + size, file.bytes.size - 8 - size);
    uint64_t header_size = longer - 8;
    memcpy(bytes, &header_size, 8);
    write_file(in_folder("model.safetensors"), bytes, file.bytes.size + header_size - size);
    free(bytes);
    pf_file_close(&file);
}

static void wrapped_names(void **state) {
    (void)state;
    static const char *const prefixes[] = {"", "_orig_mod.", "module.", "module._orig_mod."};
    pf_error error = {""};
    copy_file("config.json");
    copy_file("tokenizer.json");
    for (size_t i = 0; i < 4; i++) {
        write_wrapped(prefixes[i], 0);
        pf_checkpoint *wrapped = pf_hf_open(folder, true, &error);
        if (!wrapped) fail_msg("%s: %s", prefixes[i], error.message);
        assert_non_null(pf_checkpoint_find(wrapped, "blk.1.attn_q.bias"));
        pf_checkpoint_free(wrapped);
    }
    write_wrapped("_orig_mod.", 5); /* only some: nothing may be left out in silence */
    assert_null(pf_hf_open(folder, true, &error));
    assert_non_null(strstr(error.message, "lm_head.weight is missing"));
    copy_file("model.safetensors");
}

static void assert_ends(const pf_tokenizer *tokenizer) {
    static const int32_t ends[] = {2, 7, 8, 9};
    for (int i = 0; i < 4; i++) assert_true(pf_tokenizer_is_end(tokenizer, ends[i]));
    assert_false(pf_tokenizer_is_end(tokenizer, 10));
}

static void many_ends(void **state) {
    (void)state;
    static const char config[] = "{\"bos_token_id\": 1, \"eos_token_id\": [2, 7, 8, 2, 9]}";
    pf_error error = {""};
    pf_loaded loaded;
    pf_gguf_options options = {.convert = false};
    copy_file("config.json");
    copy_file("tokenizer.json");
    copy_file("model.safetensors");
    write_file(in_folder("generation_config.json"), config, sizeof config - 1);
    if (!pf_loaded_open(folder, &loaded, &error)) fail_msg("%s", error.message);
    assert_ends(loaded.tokenizer);
    const char *gguf = in_folder("ends.gguf");
    if (!pf_gguf_write(loaded.checkpoint, gguf, &options, &error)) fail_msg("%s", error.message);
    pf_loaded_close(&loaded);
    if (!pf_loaded_open(gguf, &loaded, &error)) fail_msg("%s", error.message);
    assert_ends(loaded.tokenizer);
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_files),
        cmocka_unit_test(wrapped_names),
        cmocka_unit_test(many_ends),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
