/* floor 6.2 - test_hf: Hugging Face folders, as they are and converted, against a float64
 * reference. */
#define _XOPEN_SOURCE 700
#include "convert.h"
#include "load.h"
#include "memory.h"
#include "session.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures/hf/"
#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

enum { TOKENS = 8 };

static char folder[64], output[96];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/performer-test-hf-%ld", (long)getpid());
    snprintf(output, sizeof output, "%s/out.gguf", folder);
    return mkdir(folder, 0700);
}

static int remove_folder(void **state) {
    (void)state;
    unlink(output);
    return rmdir(folder);
}

/* ---- logits ---- */

static void read_golden(const char *name, int32_t *ids, float *logits, size_t n_vocab) {
    char path[128];
    snprintf(path, sizeof path, FIXTURES "%s.tokens.txt", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i < TOKENS; i++) assert_int_equal(fscanf(file, "%d", &ids[i]), 1);
    fclose(file);
    snprintf(path, sizeof path, FIXTURES "%s.logits.f32", name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(logits, sizeof *logits, TOKENS * n_vocab, file), TOKENS * n_vocab);
    fclose(file);
}

static double largest_difference(const pf_model *model, const char *name) {
    pf_error error = {""};
    int32_t ids[TOKENS];
    size_t n = TOKENS * (size_t)model->n_vocab;
    float *golden = calloc(n, sizeof *golden), *logits = calloc(n, sizeof *logits);
    assert_true(golden && logits);
    read_golden(name, ids, golden, model->n_vocab);
    pf_session_options options = pf_session_options_default(model);
    pf_session *session = pf_session_new(model, &options, &error);
    assert_non_null(session);
    if (!pf_session_append(session, ids, TOKENS, logits, TOKENS, &error))
        fail_msg("%s", error.message);
    double worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)logits[i] - (double)golden[i]));
    pf_session_free(session);
    free(golden);
    free(logits);
    return worst;
}

static void assert_golden_logits(const char *path, const char *name, double limit) {
    pf_error error = {""};
    pf_loaded loaded = {0};
    if (!pf_loaded_open(path, &loaded, &error)) fail_msg("%s", error.message);
    double worst = largest_difference(loaded.model, name);
    if (!(worst <= limit)) fail_msg("%s: logits are off by %g", path, worst);
    pf_loaded_close(&loaded);
}

static void check_family(const char *name) {
    pf_error error = {""};
    char path[64];
    snprintf(path, sizeof path, FIXTURES "%s", name);
    assert_golden_logits(path, name, 1e-4); /* as it is */
    pf_convert_options options = {.source = path, .output = output};
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    assert_golden_logits(output, name, 1e-4);
    options.gguf.convert = true;
    options.gguf.type = PF_F32;
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    assert_golden_logits(output, name, 1e-4);
}

static void llama_turns_halves(void **state) {
    (void)state;
    check_family("llama");
}

static void qwen2_comes_in_shards(void **state) {
    (void)state;
    check_family("qwen2");
}

static void qwen3_norms_its_heads(void **state) {
    (void)state;
    check_family("qwen3");
}

static void gpt2_is_transposed(void **state) {
    (void)state;
    check_family("gpt2");
}

/* ---- keys and tokenizers ---- */

static void assert_text(const pf_checkpoint *checkpoint, const char *key, const char *expected) {
    pf_error error = {""};
    pf_text text = {"", 0};
    assert_true(pf_checkpoint_get_text(checkpoint, key, &text, &error));
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.size);
}

static void tokenizers_and_their_settings_come_along(void **state) {
    (void)state;
    static const struct {
        const char *name, *pre, *chat_template;
        int32_t bos, eos;
        bool add_bos;
    } cases[] = {
        {"llama", "", "{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}", 1, 2, true},
        {"qwen2", "qwen2", "<|start|>", -1, 602, false},
        {"qwen3", "qwen2", "<|start|>", -1, 602, false}, /* from vocab.json and merges.txt */
        {"gpt2", "gpt-2", "", 600, 600, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        char path[64];
        pf_loaded loaded = {0};
        snprintf(path, sizeof path, FIXTURES "%s", cases[i].name);
        const pf_convert_options options = {.source = path, .output = output};
        if (!pf_convert(&options, &error) || !pf_loaded_open(output, &loaded, &error))
            fail_msg("%s", error.message);
        const pf_vocabulary *v = pf_tokenizer_vocabulary(loaded.tokenizer);
        print_message("# %s\n", cases[i].name);
        assert_string_equal(v->pre, cases[i].pre);
        assert_int_equal(v->bos, cases[i].bos);
        assert_int_equal(v->eos, cases[i].eos);
        assert_int_equal(v->add_bos, cases[i].add_bos);
        assert_text(loaded.checkpoint, "tokenizer.chat_template", cases[i].chat_template);
        assert_text(loaded.checkpoint, "general.name", cases[i].name);
        pf_loaded_close(&loaded);
    }
}

/* llama.cpp refuses a file with fewer pieces than rows. */
static void vocabularies_are_padded(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded = {0};
    const char *bytes;
    size_t n = 1;
    const pf_convert_options options = {.source = FIXTURES "qwen2", .output = output};
    if (!pf_convert(&options, &error) || !pf_loaded_open(output, &loaded, &error))
        fail_msg("%s", error.message);
    const pf_vocabulary *v = pf_tokenizer_vocabulary(loaded.tokenizer);
    assert_int_equal(loaded.model->n_vocab, 640);
    assert_int_equal(v->n_pieces, 640); /* 604 of tokenizer.json */
    assert_true(v->pieces[603].type != PF_TOKEN_UNUSED && v->pieces[604].type == PF_TOKEN_UNUSED);
    assert_memory_equal(v->pieces[639].bytes, "[PAD639]", 8);
    bytes = pf_tokenizer_bytes(loaded.tokenizer, 639, false, &n);
    assert_true(bytes && n == 0);
    pf_loaded_close(&loaded);
}

/* A folder with a tokenizer.model; text "a</s>b". */
static void legacy_puts_a_space_behind_special_tokens(void **state) {
    (void)state;
    char source[2][4096], target[3][96];
    for (int legacy = 0; legacy < 2; legacy++) {
        pf_error error = {""};
        pf_loaded loaded = {0};
        pf_tokens ids = {0};
        static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.model"};
        need_file("../shared/data/models/stories260K/tok512.model");
        assert_non_null(realpath(FIXTURES "llama", source[0]));
        assert_non_null(realpath("../shared/data/models/stories260K/tok512.model", source[1]));
        for (int i = 0; i < 3; i++) {
            char from[4200];
            snprintf(target[i], sizeof target[i], "%s/%s", folder, names[i]);
            snprintf(from, sizeof from, i < 2 ? "%s/%s" : "%s", source[i / 2], names[i]);
            assert_int_equal(symlink(from, target[i]), 0);
        }
        char config[96];
        snprintf(config, sizeof config, "%s/tokenizer_config.json", folder);
        FILE *file = fopen(config, "w");
        assert_non_null(file);
        fprintf(file, "{\"legacy\": %s}", legacy ? "true" : "false");
        fclose(file);
        bool good = pf_loaded_open(folder, &loaded, &error);
        for (int i = 0; i < 3; i++) unlink(target[i]);
        unlink(config);
        if (!good) fail_msg("%s", error.message);
        assert_true(
            pf_tokenizer_encode(loaded.tokenizer, "a</s>b", 6, PF_ENCODE_SPECIAL, &ids, &error));
        assert_int_equal(ids.count, 3);
        assert_int_equal(ids.ids[0], 261);
        assert_int_equal(ids.ids[2], legacy ? 268 : 430); /* as transformers 5.24 */
        pf_tokens_free(&ids);
        pf_loaded_close(&loaded);
    }
}

static void another_tokenizer_can_be_given(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded = {0};
    const pf_convert_options options = {.source = FIXTURES "qwen2",
                                        .output = output,
                                        .tokenizer = "tests/fixtures/tokenizers/unigram.json"};
    if (!pf_convert(&options, &error) || !pf_loaded_open(output, &loaded, &error))
        fail_msg("%s", error.message);
    assert_int_equal(pf_tokenizer_vocabulary(loaded.tokenizer)->kind, PF_TOKENIZER_UNIGRAM);
    assert_null(pf_checkpoint_find_meta(loaded.checkpoint, "tokenizer.ggml.merges"));
    pf_loaded_close(&loaded);
    const pf_convert_options again = {
        .source = output, .output = output, .tokenizer = "tests/fixtures/tokenizers/custom.json"};
    if (!pf_convert(&again, &error) || !pf_loaded_open(output, &loaded, &error))
        fail_msg("%s", error.message);
    assert_int_equal(pf_tokenizer_vocabulary(loaded.tokenizer)->kind, PF_TOKENIZER_BPE);
    assert_int_equal(pf_tokenizer_vocabulary(loaded.tokenizer)->n_patterns, 3);
    assert_null(pf_checkpoint_find_meta(loaded.checkpoint, "tokenizer.ggml.scores"));
    pf_loaded_close(&loaded);
}

/* ---- what is refused ---- */

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}

/* A copy of the llama folder with one string in its config.json replaced; the weights are a
 * link. */
static bool convert_with(const char *name, const char *from, const char *to, pf_error *error) {
    char config[96], weights[96], path[64], real[4096];
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    snprintf(path, sizeof path, FIXTURES "%s/model.safetensors", name);
    assert_non_null(realpath(path, real));
    assert_int_equal(symlink(real, weights), 0);
    snprintf(path, sizeof path, FIXTURES "%s/config.json", name);
    char *text = read_text(path), *at = strstr(text, from);
    if (!at) fail_msg("%s is not in the config of %s", from, name);
    FILE *file = fopen(config, "wb");
    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(file);
    free(text);
    unlink(output);
    const pf_convert_options options = {.source = folder, .output = output};
    bool good = pf_convert(&options, error);
    unlink(config);
    unlink(weights);
    assert_int_equal(access(output, F_OK) == 0, good); /* a failure writes nothing */
    return good;
}

static void wrong_configs_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *from, *to, *reason; /* NULL: good */
    } cases[] = {
        {"llama", "\"head_dim\": null", "\"head_dim\": 6", NULL},
        {"llama", "\"llama\"", "\"mixtral\"",
         "\"mixtral\" in config.json is not supported; supported"},
        {"llama", "\"llama\"", "7", "the model_type"},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": 0", "\"hidden_size\" in config.json"},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": -24", "\"hidden_size\" in config.json"},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": 4294967320", "\"hidden_size\""},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": 24.0", "\"hidden_size\""},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": null", "has no \"hidden_size\""},
        {"llama", "\"hidden_size\": 24", "\"hidden_size\": 48", "has shape"},
        {"llama", "\"head_dim\": null", "\"head_dim\": 7", "7 dimensions"},
        {"llama", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "blk.2."},
        {"llama", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "model.layers.1."},
        {"llama", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 9999", "9999 layers"},
        {"llama", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "evenly"},
        {"llama", "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "head_dim"},
        {"llama", "\"silu\"", "\"relu\"", "\"hidden_act\" in config.json is \"relu\""},
        {"llama", "\"silu\"", "\"si\"", "\"si\", which is not supported"},
        {"llama", "1e-05", "0", "\"rms_norm_eps\""},
        {"llama", "\"rope_theta\": 100.0", "\"rope_theta\": NaN", "config.json"},
        {"llama", "\"rope_theta\": 100.0", "\"rope_theta\": 1e999", "config.json"},
        {"llama", "\"rope_theta\": 100.0", "\"rope_theta\": 1e300", "\"rope_theta\""},
        {"llama", "\"rope_theta\": 100.0", "\"rope_theta\": -1.0", "\"rope_theta\""},
        {"llama", "\"llama3\"", "\"ntk\"", "\"ntk\" is not supported; supported: default"},
        {"llama", "\"factor\": 8.0", "\"factor\": 0", "\"factor\" in config.json"},
        {"llama", "\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1.0", "high_freq_factor"},
        {"llama", "\"tie_word_embeddings\": false", "\"quantization_config\": {}", "quantised"},
        {"llama", "\"tie_word_embeddings\": false", "\"num_local_experts\": 8", "experts"},
        {"llama", "\"mlp_bias\": false", "\"partial_rotary_factor\": 0.5", "partial_rotary_factor"},
        {"llama", "{", "[", "wrong in line"},
        {"qwen3", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false",
         "the tensor lm_head.weight is missing"},
        {"qwen3", "\"qwen3\"", "\"llama\"", "attn_q_norm"},
        {"qwen3", "\"qwen3\"", "\"qwen2\"", "attn_q.bias"},
        {"gpt2", "\"gelu_new\"", "\"gelu\"", NULL},
        {"gpt2", "\"gelu_new\"", "\"quick_gelu\"", "\"quick_gelu\", which is not supported"},
        {"gpt2", "\"n_ctx\": 32", "\"scale_attn_by_inverse_layer_idx\": true", "another scale"},
        {"gpt2", "\"n_inner\": null", "\"n_inner\": 7", "has shape"},
        {"gpt2", "\"n_positions\": 32", "\"n_positions\": 64", "position_embd.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        bool good = convert_with(cases[i].name, cases[i].from, cases[i].to, &error);
        if (good != !cases[i].reason)
            fail_msg("%s: %s", cases[i].to, good ? "is not refused" : error.message);
        if (cases[i].reason) ASSERT_SAYS(error, cases[i].reason);
        if (cases[i].reason) ASSERT_SAYS(error, folder);
    }
}

static void fields_that_are_left_out_have_the_defaults_of_transformers(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"qwen3", "\"rope_theta\": 10000.0,"},
                                           {"qwen3", "\"rope_scaling\": null,"},
                                           {"llama", "\"tie_word_embeddings\": false,"},
                                           {"llama", "\"hidden_act\": \"silu\","},
                                           {"gpt2", "\"layer_norm_epsilon\": 1e-05,"},
                                           {"gpt2", "\"n_inner\": null,"},
                                           {"gpt2", "\"activation_function\": \"gelu_new\","}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        if (!convert_with(cases[i][0], cases[i][1], "", &error)) fail_msg("%s", error.message);
        assert_golden_logits(output, cases[i][0], 1e-4);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "qwen2", "qwen3", "gpt2"};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, FIXTURES "%s", names[i]);
        const pf_convert_options options = {.source = path, .output = output};
        long n = 0;
        for (bool good = false; !good && n < 3000; n++) {
            pf_error error = {""};
            pf_memory_fail_after(n + 1);
            good = pf_convert(&options, &error);
            pf_memory_fail_after(0);
            if (!good) assert_true(error.message[0] != '\0');
        }
        assert_true(n > 100 && n < 3000);
    }
}

static void folders_without_a_model_are_named(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded = {0};
    pf_convert_options options = {.source = folder, .output = output};
    assert_false(pf_convert(&options, &error));
    ASSERT_SAYS(error, "no config.json");
    assert_false(pf_loaded_open(folder, &loaded, &error));
    ASSERT_SAYS(error, folder);
    options.source = FIXTURES "llama";
    options.config = "x.json";
    assert_false(pf_convert(&options, &error));
    ASSERT_SAYS(error, "leave it out");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_turns_halves),
        cmocka_unit_test(qwen2_comes_in_shards),
        cmocka_unit_test(qwen3_norms_its_heads),
        cmocka_unit_test(gpt2_is_transposed),
        cmocka_unit_test(tokenizers_and_their_settings_come_along),
        cmocka_unit_test(vocabularies_are_padded),
        cmocka_unit_test(legacy_puts_a_space_behind_special_tokens),
        cmocka_unit_test(another_tokenizer_can_be_given),
        cmocka_unit_test(wrong_configs_are_refused),
        cmocka_unit_test(fields_that_are_left_out_have_the_defaults_of_transformers),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(folders_without_a_model_are_named),
    };
    return cmocka_run_group_tests_name("hf", tests, make_folder, remove_folder);
}
