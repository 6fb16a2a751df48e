/* floor 6.2 - test_hf_families: a Hugging Face folder of every family, as it is and converted,
 * against the logits of transformers (make_hf_families.py). */
#include "convert.h"
#include "load.h"
#include "session.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures/hf_families/"

enum { TOKENS = 24 };

static char output[96];

/* ids [TOKENS]; returns the logits [TOKENS, n_vocab] that they should give. */
static float *read_golden(const char *name, size_t n_vocab, int32_t *ids) {
    char path[128];
    float *golden = malloc(TOKENS * n_vocab * sizeof *golden);
    snprintf(path, sizeof path, FIXTURES "%s.tokens.txt", name);
    FILE *file = fopen(path, "r");
    assert_true(file && golden);
    for (int i = 0; i < TOKENS; i++) assert_int_equal(fscanf(file, "%d", &ids[i]), 1);
    fclose(file);
    snprintf(path, sizeof path, FIXTURES "%s.logits.f32", name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(golden, sizeof *golden, TOKENS * n_vocab, file), TOKENS * n_vocab);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    return golden;
}

/* The logits after each token, computed `chunk` tokens at a time. */
static float *run(const pf_model *model, const int32_t *ids, size_t chunk) {
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(model);
    options.float_activations = true;
    options.chunk = chunk;
    if (options.context < TOKENS) options.context = TOKENS; /* phi3-longer: beyond the original */
    pf_session *session = pf_session_new(model, &options, &error);
    float *logits = malloc(TOKENS * (size_t)model->n_vocab * sizeof *logits);
    if (!session || !logits) fail_msg("%s", error.message);
    for (size_t i = 0; i < TOKENS; i += chunk) {
        size_t n = TOKENS - i < chunk ? TOKENS - i : chunk;
        if (!pf_session_append(session, ids + i, n, logits + i * model->n_vocab, n, &error))
            fail_msg("%s", error.message);
    }
    pf_session_free(session);
    return logits;
}

static void assert_golden_logits(const char *path, const char *name) {
    const size_t chunks[] = {TOKENS, 1, 5};
    pf_error error = {""};
    pf_loaded loaded = {0};
    int32_t ids[TOKENS];
    if (!pf_loaded_open(path, &loaded, &error)) fail_msg("%s", error.message);
    size_t n = TOKENS * (size_t)loaded.model->n_vocab;
    float *golden = read_golden(name, loaded.model->n_vocab, ids);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        float *logits = run(loaded.model, ids, chunks[c]);
        double worst = 0;
        for (size_t i = 0; i < n; i++) {
            double difference = fabs((double)logits[i] - (double)golden[i]);
            if (!(difference <= worst)) worst = difference; /* NaN counts */
        }
        free(logits);
        print_message("# %s, %zu at a time: logits within %.1e\n", path, chunks[c], worst);
        if (!(worst <= 2e-5)) fail_msg("%s: logits are off by %g", path, worst);
    }
    free(golden);
    pf_loaded_close(&loaded);
}

static void folder_and_gguf_agree_with_transformers(void **state) {
    const char *name = *state;
    char path[96];
    pf_error error = {""};
    snprintf(path, sizeof path, FIXTURES "%s", name);
    assert_golden_logits(path, name);
    pf_convert_options options = {.source = path, .output = output};
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    assert_golden_logits(output, name);
    unlink(output);
}

/* ---- what is refused ---- */

typedef struct {
    const char *name, *from, *to; /* one text of config.json or of a tensor's name, replaced */
    const char *reason;
} damage;

static char *read_all(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = calloc(1, 1 << 18);
    assert_true(file && bytes);
    *size = fread(bytes, 1, (1 << 18) - 1, file);
    fclose(file);
    return bytes;
}

/* Copies a file of the fixture to the folder. Replaces d->from, if it is there: names of tensors by
 * names of the same length. */
static bool copy_damaged(const damage *d, const char *folder, const char *file) {
    char path[160];
    size_t size, n = strlen(d->from);
    snprintf(path, sizeof path, FIXTURES "%s/%s", d->name, file);
    char *bytes = read_all(path, &size), *at = NULL;
    for (size_t i = 0; !at && i + n <= size; i++)
        if (memcmp(bytes + i, d->from, n) == 0) at = bytes + i;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    size_t before = at ? (size_t)(at - bytes) : size;
    fwrite(bytes, 1, before, out);
    if (at) fputs(d->to, out);
    if (at) fwrite(at + n, 1, size - before - n, out);
    fclose(out);
    free(bytes);
    return at != NULL;
}

static void check_damage(const damage *d, const char *folder) {
    pf_error error = {""};
    char path[160];
    bool config = copy_damaged(d, folder, "config.json");
    bool weights = copy_damaged(d, folder, "model.safetensors");
    if (config == weights) fail_msg("%s: \"%s\" is not in exactly one file", d->name, d->from);
    const pf_convert_options options = {.source = folder, .output = output};
    bool good = pf_convert(&options, &error);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    assert_int_equal(access(output, F_OK) == 0, good); /* a failure writes nothing */
    unlink(output);
    if (good) fail_msg("%s: \"%s\" is not refused", d->name, d->to);
    if (!strstr(error.message, d->reason) || !strstr(error.message, folder))
        fail_msg("%s: \"%s\" lacks \"%s\"", d->name, error.message, d->reason);
}

static void wrong_folders_are_refused(void **state) {
    (void)state;
    static const damage cases[] = {
        {"mistral", "\"sliding_window\": 7", "\"sliding_window\": 0", "\"sliding_window\""},
        {"mistral", "\"sliding_window\": 7", "\"sliding_window\": \"7\"", "\"sliding_window\""},
        {"mistral", "\"sliding_window\": 7", "\"partial_rotary_factor\": 0.5", "3 of the 6"},
        {"mistral", "q_proj.weight", "q_prom.weight", "q_prom.weight has no known use"},
        {"mistral-full", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false",
         "lm_head.weight is missing"},
        {"llama-yarn", "\"factor\": 4.0", "\"factor\": -4.0", "\"factor\""},
        {"llama-yarn", "\"beta_fast\": 4.0", "\"beta_fast\": \"4\"", "\"beta_fast\""},
        {"llama-yarn", "\"beta_fast\": 4.0", "\"truncate\": false", "truncate"},
        {"llama-yarn", "\"original_max_position_embeddings\": 32",
         "\"original_max_position_embeddings\": -1", "\"original_max_position_embeddings\""},
        {"qwen3-sliding", "\"max_window_layers\": 1", "\"layer_types\": [\"full_attention\"]",
         "\"layer_types\" in config.json should be a list of 3"},
        {"phi3", "qkv_proj.weight", "qkv_prok.weight", "qkv_prok"},
        {"phi3", "gate_up_proj", "gate_up_prok", "gate_up_prok"},
        {"phi3-long", "\"short_factor\": [", "\"short_factor\": [1.0, ",
         "\"short_factor\" in config.json should be a list of 3"},
        {"phi3-long", "1.1,", "\"x\",", "RoPE factor 1 is 0"},
        {"phi3-long", "2.0,", "-2.0,", "RoPE factor 1 is -2"},
        {"phi3-long", "\"partial_rotary_factor\": 0.75", "\"partial_rotary_factor\": 1.75",
         "partial_rotary_factor 1.75"},
        {"phi3-long", "\"longrope\"", "\"long\"", "type \"long\" is not supported"},
        {"gemma", "\"head_dim\": 8", "\"head_dim\": 16", "has shape"},
        {"gemma", "\"gelu\"", "\"silu\"", "\"silu\", which is not supported"},
        {"gemma2", "\"query_pre_attn_scalar\": 9", "\"query_pre_attn_scalar\": 0",
         "\"query_pre_attn_scalar\""},
        {"gemma2", "\"attn_logit_softcapping\": 2.0", "\"attn_logit_softcapping\": -2.0",
         "\"attn_logit_softcapping\""},
        {"gemma2", "\"attn_logit_softcapping\": 2.0", "\"use_bidirectional_attention\": true",
         "use_bidirectional_attention"},
        {"gemma2", "pre_feedforward_layernorm", "pre_feedforward_layernorn", "layernorn"},
        {"gemma3", "\"sliding_window_pattern\": 3", "\"sliding_window_pattern\": 0",
         "\"sliding_window_pattern\""},
        {"gemma3", "\"rope_local_base_freq\": 1000.0", "\"rope_local_base_freq\": -1",
         "\"rope_local_base_freq\""},
        {"gemma3-5", "\"sliding_attention\",", "\"chunked_attention\",",
         "layers of type \"chunked_attention\""},
        {"gemma3-5", "\"default\",\n   \"rope_theta\": 100.0", "\"yarn\"", "of sliding layers"},
        {"granite", "\"residual_multiplier\": 0.4", "\"residual_multiplier\": 0",
         "\"residual_multiplier\""},
        {"olmo2", "q_norm.weight", "q_norn.weight", "q_norn"},
        {"smollm3", "1,\n  1,\n  1,\n  0", "1, 1, 0, 1", "no_rope_layers"},
        {"stablelm", "\"use_qkv_bias\": true", "\"qk_layernorm\": true", "qk_layernorm"},
        {"stablelm", "\"use_qkv_bias\": true", "\"use_parallel_residual\": true",
         "use_parallel_residual"},
        {"starcoder2", "c_fc.bias", "c_fd.bias", "c_fd.bias"},
        {"phi", "fc2.weight", "fc3.weight", "fc3.weight"},
        {"gpt_neox", "\"num_attention_heads\": 4", "\"num_attention_heads\": 64", "head_dim"},
        {"gpt_neox-serial", "\"num_attention_heads\": 4",
         "\"head_dim\": 4, \"num_attention_heads\": 32", "are not q, k and v of 32 heads"},
        {"gpt_neox", "query_key_value.weight", "query_key_valuf.weight", "valuf"},
        {"gpt_neox", "embed_out", "embed_ouu", "embed_out.weight is missing"},
        {"gpt_neo", "\"window_size\": 6", "\"window_size\": -6", "\"window_size\""},
        {"gpt_neo", "\"local\"", "\"strided\"", "layers of type \"strided\""},
        {"gpt_neo", "\"num_layers\": 3", "\"num_layers\": 4", "has 3 layers of 4"},
        {"gpt_neo", "\"num_layers\": 3", "\"num_layers\": 2", "transformer.h.2."},
        {"opt", "\"word_embed_proj_dim\": 16", "\"word_embed_proj_dim\": 8", "OPT 350M"},
        {"opt", "\"word_embed_proj_dim\": 16", "\"do_layer_norm_before\": false", "OPT 350M"},
        {"opt", "\"max_position_embeddings\": 32", "\"max_position_embeddings\": 64",
         "position_embd.weight"},
    };
    char folder[96];
    snprintf(folder, sizeof folder, "%.80s.d", output);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_damage(&cases[i], folder);
    rmdir(folder);
}

#define FAMILY(name)                                                                               \
    { name, folder_and_gguf_agree_with_transformers, NULL, NULL, (void *)(uintptr_t)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        FAMILY("mistral"),
        FAMILY("mistral-full"),
        FAMILY("llama-yarn"),
        FAMILY("qwen2-yarn"),
        FAMILY("qwen3-sliding"),
        FAMILY("phi3"),
        FAMILY("phi3-long"),
        FAMILY("phi3-longer"),
        FAMILY("gemma"),
        FAMILY("gemma2"),
        FAMILY("gemma3"),
        FAMILY("gemma3-5"),
        FAMILY("granite"),
        FAMILY("olmo2"),
        FAMILY("smollm3"),
        FAMILY("stablelm"),
        FAMILY("starcoder2"),
        FAMILY("phi"),
        FAMILY("gpt_neox"),
        FAMILY("gpt_neox-serial"),
        FAMILY("gpt_neo"),
        FAMILY("opt"),
        cmocka_unit_test(wrong_folders_are_refused),
    };
    snprintf(output, sizeof output, "/tmp/performer-test-hf-families-%ld.gguf", (long)getpid());
    return cmocka_run_group_tests_name("hf families", tests, NULL, NULL);
}
