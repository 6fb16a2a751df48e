/* floor 6.1 - test_load_files: loads a whole file of each family, ours and those in ../shared. */
#include "testing.h"

#include "load.h"

#include <glob.h>
#include <math.h>
#include <string.h>

/* ---- what is special about each fixture of make_tiny_families.py ---- */

static const pf_model *open_fixture(const char *name, pf_loaded *loaded) {
    char path[128];
    pf_error error = {""};
    snprintf(path, sizeof path, "tests/fixtures/families/%s.gguf", name);
    if (!pf_loaded_open(path, loaded, &error)) fail_msg("%s", error.message);
    assert_non_null(loaded->tokenizer);
    assert_int_equal(pf_tokenizer_size(loaded->tokenizer), loaded->model->n_vocab);
    return loaded->model;
}

static void test_scaled_llamas(void **state) {
    (void)state;
    pf_loaded loaded;
    const pf_model *m = open_fixture("llama", &loaded);
    assert_ptr_not_equal(m->logits.weight.data, m->embedding.data);
    pf_loaded_close(&loaded);
    m = open_fixture("llama-scaled", &loaded);
    assert_int_equal(m->rope_dim, 8);
    assert_float_equal(m->rope_factors[2], 2.5f, 0);
    assert_int_equal(m->layers[0].q.weight.type, PF_F16);
    pf_loaded_close(&loaded);
    m = open_fixture("llama-linear", &loaded);
    assert_float_equal(m->rope_factors[3], 4, 0);
    assert_int_equal(m->n_kv_heads, 2); /* head_count_kv is absent */
    pf_loaded_close(&loaded);
}

static void test_qwens(void **state) {
    (void)state;
    pf_loaded loaded;
    const pf_model *m = open_fixture("qwen2", &loaded);
    assert_true(m->layers[1].q.bias && m->layers[1].k.bias && m->layers[1].v.bias);
    assert_int_equal(m->position, PF_POSITION_ROPE_HALVES);
    pf_loaded_close(&loaded);
    m = open_fixture("qwen3", &loaded);
    assert_true(m->layers[1].q_norm && m->layers[1].k_norm);
    assert_int_equal(m->head_dim, 12);
    assert_int_equal(m->layers[0].output.weight.cols, 48);
    pf_loaded_close(&loaded);
}

static void test_gpt2_phi3_gemma(void **state) {
    (void)state;
    pf_loaded loaded;
    const pf_model *m = open_fixture("gpt2", &loaded);
    const pf_layer *layer = &m->layers[1];
    assert_int_equal(m->position, PF_POSITION_LEARNED);
    assert_ptr_equal(layer->v.bias, layer->q.bias + 2 * 24);
    assert_true(layer->output.bias && layer->up.bias && layer->down.bias && layer->mlp_norm.bias);
    pf_loaded_close(&loaded);
    m = open_fixture("phi3", &loaded);
    layer = &m->layers[0];
    size_t row = pf_row_bytes(PF_Q8_0, 32);
    assert_ptr_equal(layer->k.weight.data, (const char *)layer->q.weight.data + 32 * row);
    assert_ptr_equal(layer->v.weight.data, (const char *)layer->k.weight.data + 16 * row);
    assert_ptr_equal(layer->up.weight.data, (const char *)layer->gate.weight.data + 64 * row);
    assert_int_equal(m->context, 64);
    pf_loaded_close(&loaded);
    m = open_fixture("gemma", &loaded);
    assert_float_equal(m->embedding_scale, sqrtf(24), 0);
    assert_int_equal(m->mlp, PF_MLP_GEGLU);
    pf_loaded_close(&loaded);
}

/* ---- files that others made ---- */

static void check_shared(const char *path) {
    const char *slash = strrchr(path, '/') + 1;
    pf_error error = {""};
    pf_loaded loaded;
    if (!pf_loaded_open(path, &loaded, &error)) fail_msg("%s", error.message);
    const pf_model *m = loaded.model;
    bool is256 = strncmp(slash, "llama256", 8) == 0, is_phi = strcmp(m->family, "phi3") == 0;
    bool is_gpt2 = strcmp(m->family, "gpt2") == 0, is_qwen = strcmp(m->family, "qwen2") == 0;
    assert_memory_equal(slash, m->family, strlen(m->family));
    if (!is256) assert_int_equal(m->width, 128);
    assert_int_equal(m->n_vocab, is_gpt2 || is_qwen ? 640 : 512);
    assert_int_equal(m->context, is_gpt2 ? 128 : 512);
    assert_int_equal(m->n_kv_heads, is_gpt2 || is_phi ? 4 : 2);
    assert_int_equal(m->norm, is_gpt2 ? PF_NORM_LAYER : PF_NORM_RMS);
    assert_int_equal(m->mlp, is_gpt2 ? PF_MLP_GELU_TANH : PF_MLP_SWIGLU);
    assert_true(!m->layers[1].q.bias == !(is_gpt2 || is_qwen));
    assert_true(!m->layers[0].gate.weight.rows == is_gpt2);
    assert_true(!m->position_embedding == !is_gpt2);
    assert_int_equal(m->layers[1].v.weight.rows, m->n_kv_heads * m->head_dim);
    assert_non_null(loaded.tokenizer);
    pf_loaded_close(&loaded);
}

static void test_shared_families(void **state) {
    (void)state;
    need_file("../shared/data/models/families/llama/llama-f32.gguf");
    glob_t found;
    assert_int_equal(glob("../shared/data/models/families/*/*.gguf", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 17);
    for (size_t i = 0; i < found.gl_pathc; i++) check_shared(found.gl_pathv[i]);
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaled_llamas),
        cmocka_unit_test(test_qwens),
        cmocka_unit_test(test_gpt2_phi3_gemma),
        cmocka_unit_test(test_shared_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
