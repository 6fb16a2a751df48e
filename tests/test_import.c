/* floor 6.2 - test_import: checkpoints of other projects give the same logits as there. */
#include "testing.h"

#include "convert.h"
#include "import.h"
#include "formats.h"
#include "load.h"
#include "memory.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures/pth/"
#define MODELS "../shared/data/models/"
#define GPT_CHAR MODELS "gpt-char-tinystories/"
#define PERFORMER MODELS "performer-pytorch-tiny/"

enum { MAX_TOKENS = 256 };

static void need_shared(void) {
    need_file(MODELS "tales-favor/model.pt");
    need_file(PERFORMER "model.pt");
    need_file(GPT_CHAR "model_weights.pth");
}

static void open_model(const char *path, const char *config, pf_loaded *loaded) {
    pf_error error = {""};
    pf_checkpoint *checkpoint =
        pf_import_checkpoint(pf_checkpoint_open(path, &error), config, &error);
    if (!checkpoint || !pf_loaded_bind(checkpoint, loaded, &error)) fail_msg("%s", error.message);
}

static size_t read_ids(const char *path, int32_t *ids) {
    size_t n = 0;
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s is missing", path);
    while (n < MAX_TOKENS && fscanf(file, "%d", &ids[n]) == 1) n++;
    fclose(file);
    return n;
}

/* The largest difference between the logits and those in a file, float32 [tokens, V]. */
static double compare(const pf_loaded *loaded, const char *tokens, const char *golden, size_t chunk,
                      bool noncausal_stabilizer) {
    pf_error error = {""};
    pf_file file;
    int32_t ids[MAX_TOKENS];
    size_t n = read_ids(tokens, ids), V = loaded->model->n_vocab;
    pf_session_options options = pf_session_options_default(loaded->model);
    options.chunk = chunk;
    options.n_threads = 2;
    options.attention.noncausal_stabilizer = noncausal_stabilizer;
    pf_session *session = pf_session_new(loaded->model, &options, &error);
    if (!session) fail_msg("%s", error.message);
    float *logits = pf_calloc(n * V, sizeof *logits, "logits", &error);
    assert_true(pf_session_append(session, ids, n, logits, n, &error));
    if (!pf_file_open(golden, &file, &error)) fail_msg("%s", error.message);
    assert_int_equal(file.bytes.size, n * V * sizeof(float));
    double most = 0;
    for (size_t i = 0; i < n * V; i++) {
        float wanted;
        memcpy(&wanted, file.bytes.data + i * sizeof wanted, sizeof wanted);
        most = fmax(most, fabs((double)wanted - (double)logits[i]));
    }
    pf_file_close(&file);
    pf_free(logits);
    pf_session_free(session);
    return most;
}

/* ---- against float64 references in this repository ---- */

static void test_nanogpt(void **state) {
    (void)state;
    static const char *const names[] = {"nanogpt", "nanogpt-bias"};
    for (int i = 0; i < 2; i++) {
        char path[96], tokens[96], golden[96];
        pf_loaded loaded;
        snprintf(path, sizeof path, FIXTURES "%s.pt", names[i]);
        snprintf(tokens, sizeof tokens, FIXTURES "%s.tokens.txt", names[i]);
        snprintf(golden, sizeof golden, FIXTURES "%s.logits.f32", names[i]);
        open_model(path, NULL, &loaded);
        assert_string_equal(loaded.model->family, "gpt2");
        assert_int_equal(loaded.model->mlp, PF_MLP_GELU_ERF);
        assert_ptr_equal(loaded.model->logits.weight.data, loaded.model->embedding.data); /* tied */
        assert_true(compare(&loaded, tokens, golden, 256, false) < 1e-5);
        pf_loaded_close(&loaded);
    }
}

static void test_performer(void **state) {
    (void)state;
    pf_loaded loaded;
    open_model(FIXTURES "performer.pt", FIXTURES "performer.json", &loaded);
    const pf_model *model = loaded.model;
    assert_string_equal(model->family, "performer");
    assert_int_equal(model->position, PF_POSITION_NONE);
    assert_non_null(model->position_embedding);
    assert_int_equal(model->attention.kind, PF_ATTENTION_FAVOR);
    assert_int_equal(model->layers[1].favor.n_projections, 1);
    static const size_t chunks[] = {1, 4, 64};
    for (int i = 0; i < 3; i++)
        assert_true(compare(&loaded, FIXTURES "performer.tokens.txt",
                            FIXTURES "performer.logits.f32", chunks[i], false) < 1e-5);
    assert_true(compare(&loaded, FIXTURES "performer.tokens.txt",
                        FIXTURES "performer.text.logits.f32", 64, true) < 1e-5);
    /* and the two are not the same */
    assert_true(compare(&loaded, FIXTURES "performer.tokens.txt",
                        FIXTURES "performer.text.logits.f32", 64, false) > 1e-3);
    pf_loaded_close(&loaded);
}

static void test_a_table_of_positions_limits_the_text(void **state) {
    (void)state;
    pf_loaded loaded;
    pf_error error = {""};
    open_model(FIXTURES "performer.pt", FIXTURES "performer.json", &loaded);
    pf_session_options options = pf_session_options_default(loaded.model);
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    assert_non_null(session);
    assert_int_equal(pf_session_room(session), 9);
    const int32_t ids[10] = {0};
    assert_false(pf_session_append(session, ids, 10, NULL, 0, &error));
    pf_session_free(session);
    options.context = 10;
    assert_null(pf_session_new(loaded.model, &options, &error));
    pf_loaded_close(&loaded);
}

static void test_a_look_ahead_is_for_plain_features(void **state) {
    (void)state;
    pf_loaded loaded;
    pf_error error = {""};
    open_model(FIXTURES "performer.pt", FIXTURES "performer.json", &loaded);
    pf_session_options options = pf_session_options_default(loaded.model);
    options.attention.noncausal_stabilizer = true;
    options.attention.window = 2;
    assert_null(pf_session_new(loaded.model, &options, &error));
    assert_non_null(strstr(error.message, "no window"));
    pf_loaded_close(&loaded);
}

static void test_llama2c(void **state) {
    (void)state;
    pf_loaded loaded;
    open_model(FIXTURES "llama2c.pt", NULL, &loaded);
    const pf_model *m = loaded.model;
    assert_string_equal(m->family, "llama");
    assert_true(m->n_layers == 2 && m->n_heads == 4 && m->n_kv_heads == 2 && m->context == 16);
    assert_true(m->hidden == 16 && m->norm_eps == 1e-6f);
    assert_ptr_equal(m->logits.weight.data, m->embedding.data);
    assert_int_equal(m->attention.kind, PF_ATTENTION_SOFTMAX);
    pf_loaded_close(&loaded);
}

/* ---- goldens in ../shared ---- */

static void test_gpt_char(void **state) {
    (void)state;
    need_shared();
    static const char *const files[] = {GPT_CHAR "model_weights.pth", GPT_CHAR "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        pf_loaded loaded;
        open_model(files[i], FIXTURES "gpt-char-tinystories.json", &loaded);
        assert_true(compare(&loaded, GPT_CHAR "golden_logits_tokens.txt",
                            GPT_CHAR "golden_logits_32x169.f32", 256, false) < 1e-3);
        pf_loaded_close(&loaded);
    }
}

static void assert_greedy(const pf_loaded *loaded, const char *path) {
    pf_error error = {""};
    int32_t ids[MAX_TOKENS];
    size_t n = read_ids(path, ids), V = loaded->model->n_vocab;
    pf_session_options options = pf_session_options_default(loaded->model);
    pf_session *session = pf_session_new(loaded->model, &options, &error);
    float *logits = pf_calloc(V, sizeof *logits, "logits", &error);
    assert_true(session && logits && n > 5);
    assert_true(pf_session_append(session, ids, 5, logits, 1, &error));
    for (size_t i = 5; i < n; i++) {
        int32_t best = 0;
        for (size_t j = 1; j < V; j++)
            if (logits[j] > logits[best]) best = (int32_t)j;
        assert_int_equal(best, ids[i]);
        assert_true(pf_session_append(session, &best, 1, logits, 1, &error));
    }
    pf_free(logits);
    pf_session_free(session);
}

static void test_performer_pytorch(void **state) {
    (void)state;
    need_shared();
    pf_loaded loaded;
    open_model(PERFORMER "model.pt", PERFORMER "config.json", &loaded);
    assert_int_equal(loaded.model->position, PF_POSITION_ROPE_ADJACENT);
    assert_true(compare(&loaded, PERFORMER "golden_logits_tokens.txt",
                        PERFORMER "golden_logits_streaming_62x512.f32", 256, false) < 1e-3);
    assert_true(compare(&loaded, PERFORMER "golden_logits_tokens.txt",
                        PERFORMER "golden_logits_full_62x512.f32", 62, true) < 1e-3);
    assert_greedy(&loaded, PERFORMER "golden_greedy_streaming_tokens.txt");
    pf_loaded_close(&loaded);
}

/* A .pt of tales-* has the same tensors as its .bin; tales-favor has its projections as well. */
static void test_tales(void **state) {
    (void)state;
    need_shared();
    static const char *const names[] = {"tales-favor", "tales-softmax"};
    for (int i = 0; i < 2; i++) {
        char path[128];
        pf_loaded pt, bin;
        snprintf(path, sizeof path, MODELS "%s/model.pt", names[i]);
        open_model(path, NULL, &pt);
        snprintf(path, sizeof path, MODELS "%s/model.bin", names[i]);
        open_model(path, NULL, &bin);
        for (size_t t = 0; t < pf_checkpoint_n_tensors(bin.checkpoint); t++) {
            const pf_tensor *a = pf_checkpoint_tensor(bin.checkpoint, t);
            const pf_tensor *b = pf_checkpoint_find(pt.checkpoint, a->name);
            assert_true(b && b->data && a->bytes == b->bytes && a->n_dims == b->n_dims);
            assert_memory_equal(a->shape, b->shape, sizeof a->shape);
            assert_memory_equal(a->data, b->data, a->bytes);
        }
        assert_int_equal(
            pf_checkpoint_n_meta(bin.checkpoint) <= pf_checkpoint_n_meta(pt.checkpoint), 1);
        const pf_favor_weights *favor = &pt.model->layers[3].favor;
        assert_int_equal(favor->n_projections, i == 0 ? 4 : 0);
        assert_int_equal(pt.model->attention.kind,
                         i == 0 ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX);
        pf_loaded_close(&bin);
        pf_loaded_close(&pt);
    }
}

/* ---- conversions, and messages of those that fail ---- */

static char output[64], config[64];

static int make_paths(void **state) {
    (void)state;
    snprintf(output, sizeof output, "/tmp/performer-test-import-%ld.gguf", (long)getpid());
    snprintf(config, sizeof config, "/tmp/performer-test-import-%ld.json", (long)getpid());
    return 0;
}

static int remove_paths(void **state) {
    (void)state;
    unlink(output);
    unlink(config);
    return 0;
}

static void test_every_target_type(void **state) {
    (void)state;
    static const struct {
        pf_type type;
        double tolerance; /* rows of 24 values keep their type, as blocks of 32 do not fit */
    } targets[] = {
        {PF_F32, 1e-5}, {PF_F16, 2e-2}, {PF_BF16, 1e-1}, {PF_Q8_0, 1e-5}, {PF_Q4_0, 1e-5}};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        pf_error error = {""};
        pf_loaded loaded;
        pf_convert_options options = {.source = FIXTURES "performer.pt",
                                      .config = FIXTURES "performer.json",
                                      .output = output,
                                      .gguf = {.convert = true, .type = targets[i].type}};
        if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
        if (!pf_loaded_open(output, &loaded, &error)) fail_msg("%s", error.message);
        assert_true(compare(&loaded, FIXTURES "performer.tokens.txt",
                            FIXTURES "performer.logits.f32", 64, false) < targets[i].tolerance);
        pf_loaded_close(&loaded);
    }
}

static void assert_told(const char *path, const char *text, const char *says) {
    pf_error error = {""};
    if (text) {
        FILE *file = fopen(config, "w");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
    }
    pf_checkpoint *checkpoint =
        pf_import_checkpoint(pf_checkpoint_open(path, &error), text ? config : NULL, &error);
    pf_checkpoint_free(checkpoint);
    assert_null(checkpoint);
    if (!strstr(error.message, says)) fail_msg("\"%s\" lacks \"%s\"", error.message, says);
}

static void test_what_is_not_known_is_told(void **state) {
    (void)state;
    const char *performer = FIXTURES "performer.pt", *views = FIXTURES "views-2.pt";
    assert_told(performer, NULL, "\"causal\": true");
    assert_told(performer, "{}", "causal");
    assert_told(performer, "{\"causal\": 1}", "\"causal\" in the --config");
    assert_told(performer, "{\"causal\": true, \"local_attn_heads\": 2}", "local attention");
    assert_told(performer, "{\"causal\": true, \"reversible\": true}", "reversible");
    assert_told(performer, "{\"causal\": true", "line 1");
    assert_told(performer, "[]", "one JSON object");
    assert_told(views, NULL, "match no known project");
    assert_told(views, "{\"tensors\": []}", "should be an object");
    assert_told(views, "{\"tensors\": {\"token_embd.weight\": 3}}", "should be a string");
    assert_told(views, "{\"tensors\": {\"token_embd.weight\": \"whole\"}, \"ignore\": \"x\"}",
                "a list");
    assert_told(views, "{\"tensors\": {\"token_embd.weight\": \"whole\"}}", "context_length");
    assert_told("tests/fixtures/families/llama.gguf", "{}", "leave it out");
    assert_told(views,
                "{\"heads\": 1, \"context\": 4, \"tensors\": {\"token_embd.weight\": \"whole\","
                " \"blk.{layer}.attn_q.weight\": \"part\"}}",
                "block_count");
}

static void test_no_memory(void **state) {
    (void)state;
    bool done = false;
    for (long n = 1; !done && n < 5000; n += 7) {
        pf_error error = {""};
        pf_loaded loaded = {0};
        pf_memory_fail_after(n);
        pf_checkpoint *checkpoint = pf_import_checkpoint(
            pf_checkpoint_open(FIXTURES "performer.pt", &error), FIXTURES "performer.json", &error);
        done = checkpoint && pf_loaded_bind(checkpoint, &loaded, &error);
        pf_memory_fail_after(0);
        assert_true(done || error.message[0] != '\0');
        pf_loaded_close(&loaded);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nanogpt),
        cmocka_unit_test(test_performer),
        cmocka_unit_test(test_a_table_of_positions_limits_the_text),
        cmocka_unit_test(test_a_look_ahead_is_for_plain_features),
        cmocka_unit_test(test_llama2c),
        cmocka_unit_test(test_gpt_char),
        cmocka_unit_test(test_performer_pytorch),
        cmocka_unit_test(test_tales),
        cmocka_unit_test_setup_teardown(test_every_target_type, make_paths, remove_paths),
        cmocka_unit_test_setup_teardown(test_what_is_not_known_is_told, make_paths, remove_paths),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
