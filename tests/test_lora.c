/* floor 6.1 - test_lora: adapters as the library reads, merges and writes them. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "load.h"
#include "lora.h"
#include "lora_write.h"
#include "memory.h"
#include "rng.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HF "tests/fixtures/hf/"
#define LORA "tests/fixtures/lora/"

static char folder[] = "/tmp/test_lora_XXXXXX";

static const char *in_folder(const char *name) {
    static char path[4][128];
    static int next;
    char *own = path[next++ % 4];
    snprintf(own, sizeof path[0], "%s/%s", folder, name);
    return own;
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "a.gguf"};
    for (int i = 0; i < 3; i++) unlink(in_folder(names[i]));
    return rmdir(folder);
}

/* The logits behind tokens 3 ... 10; free them with pf_free. */
static float *logits_of(const pf_loaded *loaded) {
    static const int32_t tokens[8] = {3, 4, 5, 6, 7, 8, 9, 10};
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(loaded->model);
    options.n_threads = 1;
    pf_session *session = pf_session_new(loaded->model, &options, &error);
    float *logits = pf_calloc(loaded->model->n_vocab, sizeof *logits, "logits", &error);
    if (!session || !logits || !pf_session_append(session, tokens, 8, logits, 1, &error))
        fail_msg("%s", error.message);
    pf_session_free(session);
    return logits;
}

static void open_adapted(const char *base, const char *adapter, float scale, pf_loaded *loaded) {
    pf_error error = {""};
    pf_lora_source source = {adapter, scale};
    if (!pf_loaded_open_adapted(base, &source, adapter != NULL, 1, loaded, &error))
        fail_msg("%s", error.message);
}

/* ---- what is written is read again ---- */

static void fill(float *values, size_t n, pf_rng *rng) {
    for (size_t i = 0; i < n; i++) values[i] = (float)pf_rng_normal(rng);
}

/* W, as the model has it, against W + alpha / rank * b a, computed here. */
static void assert_merged(const pf_matrix *plain, const pf_matrix *merged, const float *a,
                          const float *b, size_t rank, float factor) {
    const float *w = plain->data, *v = merged->data;
    assert_int_equal(plain->type, PF_F32);
    assert_int_equal(merged->type, PF_F32);
    for (size_t r = 0; r < plain->rows; r++)
        for (size_t c = 0; c < plain->cols; c++) {
            double sum = (double)w[r * plain->cols + c];
            for (size_t k = 0; k < rank; k++)
                sum += (double)factor * (double)b[r * rank + k] * (double)a[k * plain->cols + c];
            assert_true(fabs(sum - (double)v[r * plain->cols + c]) < 1e-5 * (1 + fabs(sum)));
        }
}

static void written_and_read(void **state) {
    (void)state;
    enum { C = 16, V = 640, H = 32, R = 3 }; /* of qwen2 */
    static float up_a[R * C], up_b[H * R], embedding_a[R * C], embedding_b[V * R];
    pf_error error = {""};
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    fill(up_a, R * C, &rng);
    fill(up_b, H * R, &rng);
    fill(embedding_a, R * C, &rng);
    fill(embedding_b, V * R, &rng);
    const pf_lora_matrix matrices[] = {
        {"blk.1.ffn_up.weight", H, C, R, up_a, up_b},
        {"token_embd.weight", V, C, R, embedding_a, embedding_b},
    };
    const char *path = in_folder("a.gguf");
    if (!pf_lora_write(path, "qwen2", 6, matrices, 2, &error)) fail_msg("%s", error.message);
    pf_loaded plain, adapted;
    open_adapted(HF "qwen2", NULL, 1, &plain);
    open_adapted(HF "qwen2", path, 0.5f, &adapted);
    assert_merged(&plain.model->layers[1].up.weight, &adapted.model->layers[1].up.weight, up_a,
                  up_b, R, 1);
    assert_merged(&plain.model->embedding, &adapted.model->embedding, embedding_a, embedding_b, R,
                  1);
    assert_memory_equal(plain.model->embedding.data, adapted.model->logits.weight.data,
                        V * C * sizeof(float)); /* the output has parted from it */
    assert_ptr_equal(plain.model->embedding.data, plain.model->logits.weight.data);
    pf_loaded_close(&plain);
    pf_loaded_close(&adapted);
    assert_false(pf_lora_write("/nowhere/a.gguf", "qwen2", 6, matrices, 2, &error));
}

/* ---- damaged and hostile adapters ---- */

static size_t read_whole(const char *path, uint8_t **bytes) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *bytes = malloc(1 << 16);
    size_t n = fread(*bytes, 1, 1 << 16, file);
    fclose(file);
    assert_true(n > 0 && n < 1 << 16);
    return n;
}

static void write_whole(const char *path, const uint8_t *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* Works, or fails with a message that names what is wrong. */
static void open_damaged(const char *base, const char *adapter) {
    pf_error error = {""};
    pf_loaded loaded;
    pf_lora_source source = {adapter, 1};
    if (pf_loaded_open_adapted(base, &source, 1, 1, &loaded, &error)) {
        float *logits = logits_of(&loaded);
        pf_free(logits);
        pf_loaded_close(&loaded);
    } else {
        assert_true(strlen(error.message) > 20);
    }
}

static void corrupt(const char *base, const char *from, const char *to, const char *adapter) {
    uint8_t *bytes;
    size_t n = read_whole(from, &bytes), header = n < 4000 ? n : 4000;
    pf_rng rng;
    pf_rng_seed(&rng, 8, 0);
    for (int round = 0; round < 300; round++) {
        size_t at = pf_rng_u64(&rng) % (round % 2 ? header : n);
        uint8_t was = bytes[at];
        bytes[at] = (uint8_t)pf_rng_u64(&rng);
        write_whole(to, bytes, round % 5 == 4 ? at : n);
        bytes[at] = was;
        open_damaged(base, adapter);
    }
    write_whole(to, bytes, n);
    free(bytes);
}

static void corruptions(void **state) {
    (void)state;
    const char *config = in_folder("adapter_config.json");
    const char *weights = in_folder("adapter_model.safetensors");
    corrupt(HF "llama", LORA "llama.gguf", in_folder("a.gguf"), in_folder("a.gguf"));
    uint8_t *bytes;
    size_t n = read_whole(LORA "gpt2/adapter_config.json", &bytes);
    write_whole(config, bytes, n);
    free(bytes);
    corrupt(HF "gpt2", LORA "gpt2/adapter_model.safetensors", weights, folder);
    corrupt(HF "gpt2", LORA "gpt2/adapter_config.json", config, folder);
}

/* ---- out of memory ---- */

static void out_of_memory(void **state) {
    (void)state;
    static const char *const cases[][2] = {{HF "gpt2", LORA "gpt2"},
                                           {HF "qwen2", LORA "qwen2-embedding.gguf"}};
    for (int i = 0; i < 2; i++) {
        bool done = false;
        for (long n = 1; !done; n++) {
            pf_error error = {""};
            pf_loaded loaded;
            pf_lora_source source = {cases[i][1], 1};
            pf_memory_fail_after(n);
            done = pf_loaded_open_adapted(cases[i][0], &source, 1, 1, &loaded, &error);
            pf_memory_fail_after(0);
            if (done)
                pf_loaded_close(&loaded);
            else
                assert_true(strlen(error.message) > 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(corruptions),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
