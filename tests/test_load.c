/* floor 6.2 - test_load: binds families from checkpoints, good ones and broken ones. */
#include "tiny_llama.h"

#include "quant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_numbers_of_a_tiny_llama(void **state) {
    (void)state;
    pf_loaded loaded;
    assert_binds(whole(), &loaded);
    const pf_model *m = loaded.model;
    assert_string_equal(m->family, "llama");
    assert_int_equal(m->n_layers, L);
    assert_int_equal(m->width, C);
    assert_int_equal(m->hidden, F);
    assert_int_equal(m->n_heads, H);
    assert_int_equal(m->n_kv_heads, KV);
    assert_int_equal(m->head_dim, D);
    assert_int_equal(m->n_vocab, V);
    assert_int_equal(m->context, T);
    assert_int_equal(m->position, PF_POSITION_ROPE_ADJACENT);
    assert_int_equal(m->rope_dim, D);
    assert_float_equal(m->rope_base, 10000, 0);
    assert_null(m->rope_factors);
    assert_float_equal(m->attention_scale, 1 / sqrtf(D), 1e-7f);
    assert_float_equal(m->embedding_scale, 1, 0);
    assert_int_equal(m->attention.kind, PF_ATTENTION_SOFTMAX);
    assert_true(m->tail_rope);
    assert_null(m->windows);
    assert_int_equal(m->layers[1].k.weight.rows, KV * D);
    assert_int_equal(m->layers[1].down.weight.cols, F);
    assert_null(m->layers[1].q.bias);
    assert_ptr_equal(m->logits.weight.data, m->embedding.data);
    assert_int_equal(pf_model_parameters(m),
                     V * C + C + L * (2 * C + 2 * H * D * C + 2 * KV * D * C + 3 * F * C));
    assert_null(loaded.tokenizer);
    pf_loaded_close(&loaded);
}

static void test_every_tensor_is_needed_in_its_shape(void **state) {
    (void)state;
    pf_loaded loaded;
    assert_binds(whole(), &loaded);
    size_t n = pf_checkpoint_n_tensors(loaded.checkpoint);
    assert_int_equal(n, 2 + 9 * L);
    for (size_t i = 0; i < n; i++) {
        const char *name = pf_checkpoint_tensor(loaded.checkpoint, i)->name;
        assert_refused(tiny((damage){.without = name}), name);
        assert_refused(tiny((damage){.misshapen = name}), name);
    }
    pf_loaded_close(&loaded);
    assert_refused(tiny((damage){.misshapen = "blk.1.attn_k.weight"}), "has shape [18, 12]");
    assert_refused(tiny((damage){.misshapen = "blk.1.attn_k.weight"}), "asks for [16, 12]");
}

static void test_senseless_hyperparameters(void **state) {
    (void)state;
    const struct {
        const char *key;
        uint32_t value;
        const char *message;
    } integers[] = {
        {"llama.block_count", 0, "llama.block_count is 0"},
        {"llama.block_count", 3, "blk.2.attn_norm.weight [16] is missing"},
        {"llama.block_count", 100000, "llama.block_count is 100000"},
        {"llama.embedding_length", 0, "embedding_length"},
        {"llama.embedding_length", UINT32_MAX, "embedding_length"},
        {"llama.feed_forward_length", 1u << 30, "feed_forward_length"},
        {"llama.context_length", 0, "context_length"},
        {"llama.attention.head_count", 0, "head_count"},
        {"llama.attention.head_count", 3, "cannot share"},
        {"llama.attention.head_count_kv", 0, "head_count_kv"},
        {"llama.attention.head_count_kv", 8, "cannot share"},
        {"llama.attention.key_length", 0, "key_length"},
        {"llama.attention.key_length", 1u << 20, "more than any known"},
        {"llama.attention.value_length", 4, "different sizes (6 and 4 per head)"},
        {"llama.rope.dimension_count", 3, "rotates pairs"},
        {"llama.rope.dimension_count", 8, "rope.dimension_count is 8"},
        {"llama.expert_count", 8, "8 experts"},
    };
    const struct {
        const char *key;
        float value;
        const char *message;
    } floats[] = {
        {"llama.rope.freq_base", NAN, "rope.freq_base"},
        {"llama.rope.freq_base", INFINITY, "rope.freq_base"},
        {"llama.rope.freq_base", 0, "rope.freq_base is 0"},
        {"llama.rope.freq_base", -1, "rope.freq_base"},
        {"llama.attention.layer_norm_rms_epsilon", 0, "rms_epsilon"},
        {"llama.attention.layer_norm_rms_epsilon", NAN, "rms_epsilon"},
        {"llama.rope.scaling.factor", 0, "rope.scaling.factor"},
    };
    pf_error error;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_u32(c, integers[i].key, integers[i].value, &error));
        assert_refused(c, integers[i].message);
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_f32(c, floats[i].key, floats[i].value, &error));
        assert_refused(c, floats[i].message);
    }
}

static void test_missing_keys(void **state) {
    (void)state;
    pf_error error;
    pf_checkpoint *c = pf_checkpoint_new("tiny", &error);
    float x = 0;
    assert_true(pf_checkpoint_add_tensor(c, "x", PF_F32, 1, (uint64_t[]){1}, &x, sizeof x, &error));
    assert_refused(c, "general.architecture is missing");
    c = pf_checkpoint_new("tiny", &error);
    assert_refused(c, "no tensors");
    c = whole();
    assert_true(pf_checkpoint_set_text(c, "general.architecture", "mamba", 5, &error));
    assert_refused(c,
                   "\"mamba\" is not supported; supported: llama, qwen2, qwen3, gpt2, phi3, gemma");
    c = whole(); /* which has no qwen2.* keys */
    assert_true(pf_checkpoint_set_text(c, "general.architecture", "qwen2", 5, &error));
    assert_refused(c, "qwen2.block_count is missing");
}

static void test_epsilon_has_no_default(void **state) {
    (void)state;
    pf_error error;
    pf_checkpoint *c = whole(), *d = pf_checkpoint_new("tiny", &error);
    for (size_t i = 0; i < pf_checkpoint_n_meta(c); i++) {
        const pf_meta *meta = pf_checkpoint_meta(c, i);
        if (!strstr(meta->key, "epsilon"))
            assert_true(pf_checkpoint_put_meta(d, meta->key, strlen(meta->key), *meta, &error));
    }
    add(d, (damage){0}, "token_embd.weight", C, V, 1);
    assert_refused(d, "layer_norm_rms_epsilon is missing");
    pf_checkpoint_free(c);
}

static void test_vectors_of_other_types_and_places(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    uint16_t halves[C];
    uint8_t bytes[C * sizeof(float) + 1];
    for (int i = 0; i < C; i++) halves[i] = pf_f32_to_f16(numbers[i]);
    pf_checkpoint *c = tiny((damage){.without = "blk.0.attn_norm.weight"});
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F16, 1, (uint64_t[]){C},
                                         halves, sizeof halves, &error));
    assert_binds(c, &loaded);
    assert_memory_equal(loaded.model->layers[0].attention_norm.weight, numbers, C * sizeof(float));
    pf_loaded_close(&loaded);

    memcpy(bytes + 1, numbers, C * sizeof(float));
    c = tiny((damage){.without = "output_norm.weight"});
    assert_true(pf_checkpoint_add_tensor(c, "output_norm.weight", PF_F32, 1, (uint64_t[]){C},
                                         bytes + 1, C * sizeof(float), &error));
    assert_binds(c, &loaded);
    assert_int_equal((uintptr_t)loaded.model->final_norm.weight % sizeof(float), 0);
    assert_memory_equal(loaded.model->final_norm.weight, numbers, C * sizeof(float));
    pf_loaded_close(&loaded);

    c = tiny((damage){.without = "output_norm.weight"});
    assert_true(pf_checkpoint_add_tensor(c, "output_norm.weight", PF_F32, 1, (uint64_t[]){C}, bytes,
                                         C * sizeof(float) - 1, &error));
    assert_refused(c, "does not match its type");
}

static void test_optional_tensors(void **state) {
    (void)state;
    pf_loaded loaded;
    pf_checkpoint *c = whole();
    add(c, (damage){0}, "output.weight", C, V, 1);
    add(c, (damage){0}, "blk.1.attn_q.bias", H * D, 1, 1);
    add(c, (damage){0}, "blk.0.attn_rot_embd.weight", 3, 1, 1); /* the keys determine it: ignored */
    assert_binds(c, &loaded);
    assert_int_equal(loaded.model->logits.weight.rows, V);
    assert_non_null(loaded.model->layers[1].q.bias);
    assert_null(loaded.model->layers[0].q.bias);
    pf_loaded_close(&loaded);
    c = whole();
    add(c, (damage){0}, "blk.1.attn_norm.bias", C, 1, 1);
    assert_refused(c, "blk.1.attn_norm.bias has no use");
    c = whole();
    add(c, (damage){0}, "blk.1.attn_q_norm.weight", D, 1, 1);
    assert_refused(c, "blk.1.attn_q_norm.weight has no use");
    c = whole();
    add(c, (damage){0}, "output.weight", C, V + 1, 1);
    assert_refused(c, "output.weight has shape [16, 11]");
}

static void test_rope_scaling(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_set_text(c, "llama.rope.scaling.type", "linear", 6, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.factor", 4, &error));
    assert_binds(c, &loaded);
    for (int i = 0; i < D / 2; i++) assert_float_equal(loaded.model->rope_factors[i], 4, 0);
    pf_loaded_close(&loaded);

    const float freqs[D / 2] = {1, 2, 8}, bad[D / 2] = {1, NAN, 8};
    c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_freqs.weight", PF_F32, 1, (uint64_t[]){D / 2},
                                         freqs, sizeof freqs, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.factor", 2, &error));
    assert_binds(c, &loaded);
    for (int i = 0; i < D / 2; i++)
        assert_float_equal(loaded.model->rope_factors[i], 2 * freqs[i], 0);
    pf_loaded_close(&loaded);

    c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_freqs.weight", PF_F32, 1, (uint64_t[]){D / 2},
                                         bad, sizeof bad, &error));
    assert_refused(c, "RoPE factor 1 is nan");
    c = whole();
    assert_true(pf_checkpoint_set_text(c, "llama.rope.scaling.type", "ntk", 3, &error));
    assert_refused(c, "\"ntk\" is not supported");
}

/* What llama.cpp and transformers agree on is in test_hf_families.c. */
static void test_yarn(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    static const struct {
        const char *key;
        float value;
        const char *reason;
    } bad[] = {{"llama.rope.scaling.yarn_beta_fast", -1, "yarn_beta_fast"},
               {"llama.rope.scaling.yarn_ext_factor", 2, "yarn_ext_factor 2"},
               {"llama.rope.scaling.yarn_ext_factor", NAN, "yarn_ext_factor is nan"},
               {"llama.rope.scaling.yarn_log_multiplier", -3, "yarn_log_multiplier -3"},
               {"llama.rope.scaling.attn_factor", 0, "attn_factor"},
               {"llama.rope.scaling.factor", 0, "rope.scaling.factor"},
               {"llama.rope.freq_base", 1, "freq_base 1"}};
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_text(c, "llama.rope.scaling.type", "yarn", 4, &error));
        assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.factor", 8, &error));
        if (i < sizeof bad / sizeof *bad) {
            assert_true(pf_checkpoint_set_f32(c, bad[i].key, bad[i].value, &error));
            assert_refused(c, bad[i].reason);
            continue;
        }
        assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.yarn_log_multiplier", 1, &error));
        assert_binds(c, &loaded); /* pairs that turn less than once in 32 tokens are slowed */
        assert_float_equal(loaded.model->rope_factors[0], 1, 0);
        assert_float_equal(loaded.model->rope_factors[D / 2 - 1], 8, 0);
        assert_float_equal(loaded.model->rope_scale, 1, 1e-6f); /* the multiplier cancels it */
        pf_loaded_close(&loaded);
    }
}

static void test_longrope(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    const float shorter[D / 2] = {1, 1.5f, 2}, longer[D / 2] = {4, 5, 6};
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_short.weight", PF_F32, 1,
                                         (uint64_t[]){D / 2}, shorter, sizeof shorter, &error));
    assert_refused(c, "rope_factors_long.weight");
    c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_short.weight", PF_F32, 1,
                                         (uint64_t[]){D / 2}, shorter, sizeof shorter, &error));
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_long.weight", PF_F32, 1,
                                         (uint64_t[]){D / 2}, longer, sizeof longer, &error));
    assert_true(pf_checkpoint_set_u32(c, "llama.rope.scaling.original_context_length", 20, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.attn_factor", 1.5f, &error));
    assert_binds(c, &loaded);
    assert_int_equal(loaded.model->context, 20);
    assert_int_equal(loaded.model->long_context, T);
    assert_memory_equal(loaded.model->long_rope_factors, longer, sizeof longer);
    assert_memory_equal(loaded.model->rope_factors, shorter, sizeof shorter);
    assert_float_equal(loaded.model->rope_scale, 1.5f, 0);
    pf_loaded_close(&loaded);
}

/* A window that is no smaller than the context changes nothing. */
static void test_sliding_windows(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    for (uint32_t window = 0; window < 2 * T; window += 16) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", window, &error));
        assert_binds(c, &loaded);
        assert_int_equal(loaded.model->context, T);
        for (uint32_t i = 0; i < L; i++)
            assert_int_equal(loaded.model->layers[i].window, window == 16 ? 16 : 0);
        pf_loaded_close(&loaded);
    }
}

/* Which layers slide: by number, by list, or not at all. */
static void test_pattern_of_sliding_layers(void **state) {
    (void)state;
    static const char key[] = "llama.attention.sliding_window_pattern";
    pf_error error;
    pf_loaded loaded;
    for (uint32_t pattern = 0; pattern <= 2; pattern++) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", 4, &error));
        assert_true(pf_checkpoint_set_u32(c, key, pattern, &error));
        if (pattern == 0) {
            assert_refused(c, key);
            continue;
        }
        assert_binds(c, &loaded);
        assert_int_equal(loaded.model->layers[0].window, pattern == 2 ? 4 : 0);
        assert_int_equal(loaded.model->layers[1].window, 0);
        pf_loaded_close(&loaded);
    }
    const uint8_t second[L] = {0, 1};
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", 4, &error));
    assert_true(pf_checkpoint_set_array(c, key, PF_META_BOOL, second, L, &error));
    assert_binds(c, &loaded);
    assert_int_equal(loaded.model->layers[0].window, 0);
    assert_int_equal(loaded.model->layers[1].window, 4);
    pf_loaded_close(&loaded);
    c = whole();
    assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", 4, &error));
    assert_true(pf_checkpoint_set_array(c, key, PF_META_BOOL, second, 1, &error));
    assert_refused(c, "has 1 values for 2 layers");
    c = whole();
    assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", 4, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.freq_base_swa", -1, &error));
    assert_refused(c, "llama.rope.freq_base_swa");
}

static void test_soft_caps(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_set_f32(c, "llama.attn_logit_softcapping", 50, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.final_logit_softcapping", 0, &error));
    assert_binds(c, &loaded);
    assert_float_equal(loaded.model->attention_cap, 50, 0);
    assert_float_equal(loaded.model->logit_cap, 0, 0);
    pf_loaded_close(&loaded);
    c = whole();
    assert_true(pf_checkpoint_set_f32(c, "llama.attn_logit_softcapping", -50, &error));
    assert_refused(c, "llama.attn_logit_softcapping is -50");
}

/* ---- tokenizers ---- */

static void test_tokenizer_larger_than_the_embedding(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    for (size_t n = V - 1; n <= V + 1; n++) {
        pf_checkpoint *c = whole();
        pf_text texts[V + 1] = {{"<unk>", 5}, {"<s>", 3}, {"</s>", 4}};
        for (size_t i = 3; i < n; i++) texts[i] = (pf_text){&"abcdefghijk"[i], 1};
        assert_true(pf_checkpoint_set_text(c, "tokenizer.ggml.model", "llama", 5, &error));
        assert_true(pf_checkpoint_set_texts(c, "tokenizer.ggml.tokens", texts, n, &error));
        if (n <= V) {
            assert_binds(c, &loaded);
            assert_int_equal(pf_tokenizer_size(loaded.tokenizer), n);
            pf_loaded_close(&loaded);
        } else {
            assert_refused(c, "the tokenizer has 11 tokens, but the model only 10");
        }
    }
}

static void test_vocabulary_only(void **state) {
    (void)state;
    const char *path = "../shared/data/tokenizers/phi-3/ggml-vocab-phi-3.gguf";
    need_file(path);
    pf_error error = {""};
    pf_loaded loaded;
    assert_false(pf_loaded_open(path, &loaded, &error));
    assert_non_null(strstr(error.message, "no tensors"));
    assert_non_null(strstr(error.message, path));
    if (!pf_loaded_open_tokenizer(path, &loaded, &error)) fail_msg("%s", error.message);
    assert_null(loaded.model);
    assert_int_equal(pf_tokenizer_size(loaded.tokenizer), 32064);
    pf_loaded_close(&loaded);
}

static bool never_made(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    (void)context;
    (void)out;
    return pf_fail(error, "%s is made", tensor->name);
}

/* A check before a file is written needs no matrix, not even to see that the logits are not tied to
 * the embedding. */
static void test_a_check_makes_no_matrices(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded_facts facts;
    pf_checkpoint *c = tiny((damage){.without = "token_embd.weight"});
    const uint64_t shape[] = {C, V};
    const char *const names[] = {"token_embd.weight", "output.weight"};
    assert_false(pf_loaded_check(c, &facts, &error));
    for (int i = 0; i < 2; i++)
        assert_true(pf_checkpoint_add_made_tensor(c, names[i], PF_F32, 2, shape,
                                                  C * V * sizeof(float), never_made, NULL, &error));
    if (!pf_loaded_check(c, &facts, &error)) fail_msg("%s", error.message);
    pf_loaded loaded;
    assert_binds(whole(), &loaded);
    assert_int_equal(facts.parameters, pf_model_parameters(loaded.model) + C * V);
    assert_int_equal(facts.attention, PF_ATTENTION_SOFTMAX);
    assert_false(facts.has_tokenizer);
    pf_loaded_close(&loaded);
    pf_checkpoint_free(c);
}

static void test_missing_file(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded;
    assert_false(pf_loaded_open("tests/no-such-file.gguf", &loaded, &error));
    assert_non_null(strstr(error.message, "tests/no-such-file.gguf"));
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_a_tiny_llama),
        cmocka_unit_test(test_every_tensor_is_needed_in_its_shape),
        cmocka_unit_test(test_senseless_hyperparameters),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_epsilon_has_no_default),
        cmocka_unit_test(test_vectors_of_other_types_and_places),
        cmocka_unit_test(test_optional_tensors),
        cmocka_unit_test(test_rope_scaling),
        cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_longrope),
        cmocka_unit_test(test_sliding_windows),
        cmocka_unit_test(test_pattern_of_sliding_layers),
        cmocka_unit_test(test_soft_caps),
        cmocka_unit_test(test_tokenizer_larger_than_the_embedding),
        cmocka_unit_test(test_vocabulary_only),
        cmocka_unit_test(test_a_check_makes_no_matrices),
        cmocka_unit_test(test_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
