/* floor 6.1 - tiny llama: a model made in memory, whole or damaged, for the tests of load. */
#ifndef PF_TINY_LLAMA_H
#define PF_TINY_LLAMA_H

#include "testing.h"

#include "load.h"

#include <string.h>

enum { C = 16, F = 24, L = 2, H = 4, KV = 2, D = 6, V = 10, T = 32 };

static float numbers[4096]; /* what all its tensors are made of */

/* What is to be wrong with it. */
typedef struct {
    const char *without, *misshapen;
} damage;

static inline void add(pf_checkpoint *c, damage d, const char *name, uint64_t a, uint64_t b,
                       uint64_t e) {
    pf_error error = {""};
    uint64_t shape[3] = {a, b, e};
    if (d.without && strcmp(name, d.without) == 0) return;
    if (d.misshapen && strcmp(name, d.misshapen) == 0) shape[0] += 2;
    uint64_t n = shape[0] * b * e;
    assert_true(n <= sizeof numbers / sizeof *numbers);
    assert_true(pf_checkpoint_add_tensor(c, name, PF_F32,
                                         e > 1   ? 3
                                         : b > 1 ? 2
                                                 : 1,
                                         shape, numbers, n * sizeof(float), &error));
}

static inline void add_layer(pf_checkpoint *c, damage d, int layer) {
    const struct {
        const char *name;
        uint64_t cols, rows;
    } tensors[] = {
        {"attn_norm", C, 1},   {"attn_q", C, H * D},      {"attn_k", C, KV * D},
        {"attn_v", C, KV * D}, {"attn_output", H * D, C}, {"ffn_norm", C, 1},
        {"ffn_gate", C, F},    {"ffn_up", C, F},          {"ffn_down", F, C},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors[i].name);
        add(c, d, name, tensors[i].cols, tensors[i].rows, 1);
    }
}

static inline pf_checkpoint *tiny(damage d) {
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {
        {"llama.block_count", L},
        {"llama.embedding_length", C},
        {"llama.feed_forward_length", F},
        {"llama.attention.head_count", H},
        {"llama.attention.head_count_kv", KV},
        {"llama.attention.key_length", D},
        {"llama.context_length", T},
    };
    pf_error error = {""};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)(i % 101) / 16;
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

static inline pf_checkpoint *whole(void) { return tiny((damage){0}); }

static inline void assert_binds(pf_checkpoint *c, pf_loaded *loaded) {
    pf_error error = {""};
    if (!pf_loaded_bind(c, loaded, &error)) fail_msg("%s", error.message);
}

/* Fails, with a sentence that begins with the name and holds `part`. */
static inline void assert_refused(pf_checkpoint *c, const char *part) {
    pf_error error = {""};
    pf_loaded loaded;
    assert_false(pf_loaded_bind(c, &loaded, &error));
    assert_null(loaded.checkpoint);
    if (strncmp(error.message, "tiny: ", 6) != 0 || !strstr(error.message, part))
        fail_msg("expected \"%s\" in: %s", part, error.message);
}

#endif
