/* floor 6.2 - test of load: families bound from checkpoints, good ones and broken ones. */
#include "testing.h"

#include "load.h"
#include "memory.h"
#include "quant.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a tiny llama, put together in memory ---- */

enum { C = 16, F = 24, L = 2, H = 4, KV = 2, D = 6, V = 10, T = 32 };

static float numbers[4096]; /* what all its tensors are made of */

/* What is to be wrong with it. */
typedef struct {
    const char *without, *misshapen;
} damage;

static void add(pf_checkpoint *c, damage d, const char *name, uint64_t a, uint64_t b, uint64_t e) {
    pf_error error = {""};
    uint64_t shape[3] = {a, b, e};
    if (d.without && strcmp(name, d.without) == 0) return;
    if (d.misshapen && strcmp(name, d.misshapen) == 0) shape[0] += 2;
    uint64_t n = shape[0] * b * e;
    assert_true(n <= sizeof numbers / sizeof *numbers);
    assert_true(pf_checkpoint_add_tensor(c, name, PF_F32, e > 1 ? 3 : b > 1 ? 2 : 1, shape, numbers,
                                         n * sizeof(float), &error));
}

static void add_layer(pf_checkpoint *c, damage d, int layer) {
    const struct { const char *name; uint64_t cols, rows; } tensors[] = {
        {"attn_norm", C, 1},   {"attn_q", C, H * D},       {"attn_k", C, KV * D}, {"attn_v", C, KV * D},
        {"attn_output", H * D, C}, {"ffn_norm", C, 1},     {"ffn_gate", C, F},    {"ffn_up", C, F},
        {"ffn_down", F, C},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors[i].name);
        add(c, d, name, tensors[i].cols, tensors[i].rows, 1);
    }
}

static pf_checkpoint *tiny(damage d) {
    const struct { const char *key; uint32_t value; } sizes[] = {
        {"llama.block_count", L},          {"llama.embedding_length", C},
        {"llama.feed_forward_length", F},  {"llama.attention.head_count", H},
        {"llama.attention.head_count_kv", KV}, {"llama.attention.key_length", D},
        {"llama.context_length", T},
    };
    pf_error error = {""};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = (float)(i % 101) / 16;
    pf_checkpoint *c = pf_checkpoint_new("tiny", &error);
    assert_non_null(c);
    assert_true(pf_checkpoint_set_text(c, "general.architecture", "llama", 5, &error));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_true(pf_checkpoint_set_u32(c, sizes[i].key, sizes[i].value, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.attention.layer_norm_rms_epsilon", 1e-5f, &error));
    add(c, d, "token_embd.weight", C, V, 1);
    for (int i = 0; i < L; i++) add_layer(c, d, i);
    add(c, d, "output_norm.weight", C, 1, 1);
    return c;
}

static pf_checkpoint *whole(void) { return tiny((damage){0}); }

static void assert_binds(pf_checkpoint *c, pf_loaded *loaded) {
    pf_error error = {""};
    if (!pf_loaded_bind(c, loaded, &error)) fail_msg("%s", error.message);
}

/* Fails, with a sentence that begins with the name and holds `part`. */
static void assert_refused(pf_checkpoint *c, const char *part) {
    pf_error error = {""};
    pf_loaded loaded;
    assert_false(pf_loaded_bind(c, &loaded, &error));
    assert_null(loaded.checkpoint);
    if (strncmp(error.message, "tiny: ", 6) != 0 || !strstr(error.message, part))
        fail_msg("expected \"%s\" in: %s", part, error.message);
}

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
    assert_refused(tiny((damage){.misshapen = "blk.1.attn_k.weight"}), "ask for [16, 12]");
}

static void test_senseless_hyperparameters(void **state) {
    (void)state;
    const struct { const char *key; uint32_t value; const char *message; } integers[] = {
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
        {"llama.attention.key_length", 1u << 20, "too large"},
        {"llama.attention.value_length", 4, "values (4) differ"},
        {"llama.rope.dimension_count", 3, "turns pairs"},
        {"llama.rope.dimension_count", 8, "rope.dimension_count is 8"},
        {"llama.expert_count", 8, "8 experts"},
    };
    const struct { const char *key; float value; const char *message; } floats[] = {
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
    assert_refused(c, "\"mamba\" is not supported; supported are llama, qwen2, qwen3, gpt2, phi3, gemma");
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
    assert_true(pf_checkpoint_add_tensor(c, "blk.0.attn_norm.weight", PF_F16, 1, (uint64_t[]){C}, halves,
                                         sizeof halves, &error));
    assert_binds(c, &loaded);
    assert_memory_equal(loaded.model->layers[0].attention_norm.weight, numbers, C * sizeof(float));
    pf_loaded_close(&loaded);

    memcpy(bytes + 1, numbers, C * sizeof(float));
    c = tiny((damage){.without = "output_norm.weight"});
    assert_true(pf_checkpoint_add_tensor(c, "output_norm.weight", PF_F32, 1, (uint64_t[]){C}, bytes + 1,
                                         C * sizeof(float), &error));
    assert_binds(c, &loaded);
    assert_int_equal((uintptr_t)loaded.model->final_norm.weight % sizeof(float), 0);
    assert_memory_equal(loaded.model->final_norm.weight, numbers, C * sizeof(float));
    pf_loaded_close(&loaded);

    c = tiny((damage){.without = "output_norm.weight"});
    assert_true(pf_checkpoint_add_tensor(c, "output_norm.weight", PF_F32, 1, (uint64_t[]){C}, bytes,
                                         C * sizeof(float) - 1, &error));
    assert_refused(c, "does not fit its type");
}

static void test_optional_tensors(void **state) {
    (void)state;
    pf_loaded loaded;
    pf_checkpoint *c = whole();
    add(c, (damage){0}, "output.weight", C, V, 1);
    add(c, (damage){0}, "blk.1.attn_q.bias", H * D, 1, 1);
    add(c, (damage){0}, "blk.0.attn_rot_embd.weight", 3, 1, 1); /* follows from the keys: ignored */
    assert_binds(c, &loaded);
    assert_int_equal(loaded.model->logits.weight.rows, V);
    assert_non_null(loaded.model->layers[1].q.bias);
    assert_null(loaded.model->layers[0].q.bias);
    pf_loaded_close(&loaded);
    c = whole();
    add(c, (damage){0}, "blk.1.attn_norm.bias", C, 1, 1);
    assert_refused(c, "blk.1.attn_norm.bias has no place");
    c = whole();
    add(c, (damage){0}, "blk.1.attn_q_norm.weight", D, 1, 1);
    assert_refused(c, "blk.1.attn_q_norm.weight has no place");
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
    assert_true(pf_checkpoint_add_tensor(c, "rope_freqs.weight", PF_F32, 1, (uint64_t[]){D / 2}, freqs,
                                         sizeof freqs, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.factor", 2, &error));
    assert_binds(c, &loaded);
    for (int i = 0; i < D / 2; i++) assert_float_equal(loaded.model->rope_factors[i], 2 * freqs[i], 0);
    pf_loaded_close(&loaded);

    c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_freqs.weight", PF_F32, 1, (uint64_t[]){D / 2}, bad,
                                         sizeof bad, &error));
    assert_refused(c, "RoPE factor 1 is nan");
    c = whole();
    assert_true(pf_checkpoint_set_text(c, "llama.rope.scaling.type", "yarn", 4, &error));
    assert_refused(c, "\"yarn\" is not supported");
}

static void test_longrope_and_sliding_windows_shrink_the_context(void **state) {
    (void)state;
    pf_error error;
    pf_loaded loaded;
    const float shorter[D / 2] = {1, 1.5f, 2}, longer[D / 2] = {4, 5, 6};
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_short.weight", PF_F32, 1, (uint64_t[]){D / 2},
                                         shorter, sizeof shorter, &error));
    assert_refused(c, "rope_factors_long.weight");
    c = whole();
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_short.weight", PF_F32, 1, (uint64_t[]){D / 2},
                                         shorter, sizeof shorter, &error));
    assert_true(pf_checkpoint_add_tensor(c, "rope_factors_long.weight", PF_F32, 1, (uint64_t[]){D / 2},
                                         longer, sizeof longer, &error));
    assert_true(pf_checkpoint_set_u32(c, "llama.rope.scaling.original_context_length", 20, &error));
    assert_true(pf_checkpoint_set_f32(c, "llama.rope.scaling.attn_factor", 1.5f, &error));
    assert_binds(c, &loaded);
    assert_int_equal(loaded.model->context, 20);
    assert_memory_equal(loaded.model->rope_factors, shorter, sizeof shorter);
    assert_float_equal(loaded.model->attention_scale, 2.25f / sqrtf(D), 1e-6f);
    pf_loaded_close(&loaded);

    for (uint32_t window = 0; window < 2 * T; window += 16) {
        c = whole();
        assert_true(pf_checkpoint_set_u32(c, "llama.attention.sliding_window", window, &error));
        assert_binds(c, &loaded);
        assert_int_equal(loaded.model->context, window == 16 ? 16 : T);
        pf_loaded_close(&loaded);
    }
}

/* ---- performer.* ---- */

static pf_checkpoint *performer(damage d) {
    pf_error error;
    pf_checkpoint *c = tiny((damage){0});
    const uint32_t windows[L * KV] = {4, 8, 16, 0}, features[L * KV] = {3, 5, 0, 5};
    assert_true(pf_checkpoint_set_text(c, "performer.attention", "favor", 5, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.features", 5, &error));
    assert_true(pf_checkpoint_set_text(c, "performer.map", "normalized", 10, &error));
    assert_true(pf_checkpoint_set_text(c, "performer.projection", "iid", 3, &error));
    assert_true(pf_checkpoint_set_f32(c, "performer.epsilon", 1e-4f, &error));
    assert_true(pf_checkpoint_set_u64(c, "performer.seed", UINT64_C(1) << 40, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.window", 7, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.sinks", 2, &error));
    assert_true(pf_checkpoint_set_bool(c, "performer.tail_rope", false, &error));
    assert_true(pf_checkpoint_set_array(c, "performer.windows", PF_META_U32, windows, L * KV, &error));
    assert_true(pf_checkpoint_set_array(c, "performer.head_features", PF_META_U32, features, L * KV, &error));
    for (int i = 0; i < L; i++) {
        const struct { const char *name; uint64_t a, b, c; } tensors[] = {
            {"projection", D, 5, H},   {"q_center", D, KV, 1}, {"k_center", D, KV, 1}, {"proposal", D, KV, 1},
            {"q_map", D, D, KV},       {"k_map", D, D, KV},    {"q.weight", D, 6, H},  {"q.bias", 6, H, 1},
            {"k.weight", D, 6, KV},    {"k.bias", 6, KV, 1},
        };
        for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.favor.%s", i, tensors[t].name);
            add(c, d, name, tensors[t].a, tensors[t].b, tensors[t].c);
        }
    }
    return c;
}

static void test_performer_keys(void **state) {
    (void)state;
    pf_loaded loaded;
    assert_binds(performer((damage){0}), &loaded);
    const pf_model *m = loaded.model;
    assert_int_equal(m->attention.kind, PF_ATTENTION_FAVOR);
    assert_int_equal(m->attention.features, 5);
    assert_int_equal(m->attention.map, PF_MAP_NORMALIZED);
    assert_int_equal(m->attention.projection, PF_PROJECTION_IID);
    assert_float_equal(m->attention.epsilon, 1e-4f, 0);
    assert_true(m->attention.seed == UINT64_C(1) << 40);
    assert_int_equal(m->attention.window, 7);
    assert_int_equal(m->attention.sinks, 2);
    assert_false(m->tail_rope);
    assert_int_equal(m->windows[2], 16);
    assert_int_equal(m->head_features[3], 5);
    const pf_favor_weights *favor = &m->layers[1].favor;
    assert_int_equal(favor->n_projections, H);
    assert_int_equal(favor->projection_features, 5);
    assert_int_equal(favor->fitted_features, 5);
    assert_true(favor->projection && favor->q_center && favor->k_center && favor->proposal);
    assert_true(favor->q_map && favor->k_map && favor->q_weight && favor->q_bias);
    assert_true(favor->k_weight && favor->k_bias);
    pf_loaded_close(&loaded);
}

static void test_broken_performer_tensors(void **state) {
    (void)state;
    const char *needed[] = {"q_center", "k_center", "q_map",    "k_map", "q.weight",
                            "q.bias",   "k.weight", "k.bias"};
    const char *optional[] = {"projection", "proposal"};
    char name[64];
    pf_loaded loaded;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        snprintf(name, sizeof name, "blk.1.favor.%s", needed[i]);
        assert_refused(performer((damage){.without = name}), "blk.1.favor.");
        assert_refused(performer((damage){.misshapen = name}), "blk.1.favor.");
    }
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        snprintf(name, sizeof name, "blk.1.favor.%s", optional[i]);
        assert_binds(performer((damage){.without = name}), &loaded);
        pf_loaded_close(&loaded);
        assert_refused(performer((damage){.misshapen = name}), name);
    }
    pf_checkpoint *c = performer((damage){0});
    add(c, (damage){0}, "blk.0.favor.q_centre", D, KV, 1);
    assert_refused(c, "blk.0.favor.q_centre");
    c = whole();
    add(c, (damage){0}, "blk.0.favor.projection", D, 5, 3);
    assert_refused(c, "is for 3 heads");
}

static void test_broken_performer_keys(void **state) {
    (void)state;
    pf_error error;
    const uint32_t few[] = {1, 2, 3};
    const struct { const char *key, *text; } names[] = {
        {"performer.attention", "linear"}, {"performer.map", "Positive"}, {"performer.projection", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pf_checkpoint *c = whole();
        assert_true(pf_checkpoint_set_text(c, names[i].key, names[i].text, strlen(names[i].text), &error));
        assert_refused(c, names[i].key);
    }
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_set_array(c, "performer.windows", PF_META_U32, few, 3, &error));
    assert_refused(c, "performer.windows has 3 numbers");
    c = whole();
    assert_true(pf_checkpoint_set_u32(c, "performer.features", 0, &error));
    assert_refused(c, "performer.features is 0");
    c = whole();
    assert_true(pf_checkpoint_set_f32(c, "performer.epsilon", -1, &error));
    assert_refused(c, "performer.epsilon");
    c = performer((damage){0});
    assert_true(pf_checkpoint_set_array(c, "performer.head_features", PF_META_U32,
                                        (uint32_t[]){3, 5, 6, 5}, 4, &error));
    assert_refused(c, "6 features in layer 1");
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

static void test_missing_file(void **state) {
    (void)state;
    pf_error error = {""};
    pf_loaded loaded;
    assert_false(pf_loaded_open("tests/no-such-file.gguf", &loaded, &error));
    assert_non_null(strstr(error.message, "tests/no-such-file.gguf"));
    pf_loaded_close(&loaded);
}

/* ---- the fixtures of make_tiny_families.py: what is special about each ---- */

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

/* ---- memory, and the files of others ---- */

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    pf_loaded loaded;
    for (long n = 1;; n++) {
        pf_error error = {""};
        pf_checkpoint *c = performer((damage){0});
        pf_memory_fail_after(n);
        bool done = pf_loaded_bind(c, &loaded, &error);
        pf_memory_fail_after(0);
        if (done) break;
        assert_string_not_equal(error.message, "");
    }
    pf_loaded_close(&loaded);
}

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
        cmocka_unit_test(test_numbers_of_a_tiny_llama),
        cmocka_unit_test(test_every_tensor_is_needed_in_its_shape),
        cmocka_unit_test(test_senseless_hyperparameters),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_epsilon_has_no_default),
        cmocka_unit_test(test_vectors_of_other_types_and_places),
        cmocka_unit_test(test_optional_tensors),
        cmocka_unit_test(test_rope_scaling),
        cmocka_unit_test(test_longrope_and_sliding_windows_shrink_the_context),
        cmocka_unit_test(test_performer_keys),
        cmocka_unit_test(test_broken_performer_tensors),
        cmocka_unit_test(test_broken_performer_keys),
        cmocka_unit_test(test_tokenizer_larger_than_the_embedding),
        cmocka_unit_test(test_vocabulary_only),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_scaled_llamas),
        cmocka_unit_test(test_qwens),
        cmocka_unit_test(test_gpt2_phi3_gemma),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_shared_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
