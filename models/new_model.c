/* floor 4.6 - new model: a checkpoint of llama's shape with random weights, for training. */
#include "new_model.h"

#include "rng.h"
#include "vocabulary_meta.h"

#include <math.h>
#include <stdio.h>

typedef struct maker {
    const pf_new_shape *shape;
    pf_checkpoint *checkpoint;
    pf_rng rng;
    pf_error *error;
} maker;

static bool check_shape(const pf_new_shape *s, pf_error *error) {
    if (s->width % s->n_heads != 0 || s->width / s->n_heads % 2 != 0)
        return pf_fail(error,
                       "a width of %u does not divide into %u heads of an even size; choose "
                       "another --width or --heads",
                       s->width, s->n_heads);
    if (s->n_heads % s->n_kv_heads != 0)
        return pf_fail(error,
                       "%u query heads cannot share %u KV heads evenly; choose others with "
                       "--heads and --kv-heads",
                       s->n_heads, s->n_kv_heads);
    return true;
}

/* A matrix [rows, cols] of N(0, deviation^2), or with rows 0 a vector of ones. */
static bool add(maker *m, const char *name, uint64_t rows, uint64_t cols, double deviation) {
    size_t n = (size_t)((rows > 0 ? rows : 1) * cols);
    float *values = pf_checkpoint_alloc(m->checkpoint, n * sizeof *values, "the weights", m->error);
    if (!values) return false;
    for (size_t i = 0; i < n; i++)
        values[i] = rows > 0 ? (float)(deviation * pf_rng_normal(&m->rng)) : 1;
    uint64_t shape[] = {cols, rows};
    return pf_checkpoint_add_tensor(m->checkpoint, name, PF_F32, rows > 0 ? 2 : 1, shape, values,
                                    n * sizeof *values, m->error);
}

static bool add_in_layer(maker *m, uint32_t layer, const char *name, uint64_t rows, uint64_t cols,
                         double deviation) {
    char full[64];
    snprintf(full, sizeof full, "blk.%u.%s.weight", layer, name);
    return add(m, full, rows, cols, deviation);
}

static bool add_weights(maker *m, uint64_t n_vocab) {
    const pf_new_shape *s = m->shape;
    uint64_t C = s->width, F = s->hidden, KV = C / s->n_heads * s->n_kv_heads;
    double deviation = 0.02, adding = 0.02 / sqrt(2.0 * s->n_layers);
    bool good = add(m, "token_embd.weight", n_vocab, C, deviation);
    for (uint32_t i = 0; good && i < s->n_layers; i++)
        good = add_in_layer(m, i, "attn_norm", 0, C, 0) &&
               add_in_layer(m, i, "attn_q", C, C, deviation) &&
               add_in_layer(m, i, "attn_k", KV, C, deviation) &&
               add_in_layer(m, i, "attn_v", KV, C, deviation) &&
               add_in_layer(m, i, "attn_output", C, C, adding) &&
               add_in_layer(m, i, "ffn_norm", 0, C, 0) &&
               add_in_layer(m, i, "ffn_gate", F, C, deviation) &&
               add_in_layer(m, i, "ffn_up", F, C, deviation) &&
               add_in_layer(m, i, "ffn_down", C, F, adding);
    return good && add(m, "output_norm.weight", 0, C, 0);
}

static bool add_keys(maker *m, uint32_t n_vocab) {
    const pf_new_shape *s = m->shape;
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {
        {"llama.block_count", s->n_layers},
        {"llama.context_length", s->context},
        {"llama.embedding_length", s->width},
        {"llama.feed_forward_length", s->hidden},
        {"llama.attention.head_count", s->n_heads},
        {"llama.attention.head_count_kv", s->n_kv_heads},
        {"llama.rope.dimension_count", s->width / s->n_heads},
        {"llama.vocab_size", n_vocab},
    };
    if (!pf_checkpoint_set_text(m->checkpoint, "general.architecture", "llama", 5, m->error))
        return false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!pf_checkpoint_set_u32(m->checkpoint, sizes[i].key, sizes[i].value, m->error))
            return false;
    return pf_checkpoint_set_f32(m->checkpoint, "llama.attention.layer_norm_rms_epsilon", 1e-5f,
                                 m->error) &&
           pf_checkpoint_set_f32(m->checkpoint, "llama.rope.freq_base", 10000, m->error);
}

pf_checkpoint *pf_new_model(const pf_new_shape *shape, const pf_vocabulary *vocabulary,
                            pf_error *error) {
    if (!check_shape(shape, error)) return NULL;
    maker m = {.shape = shape, .error = error};
    m.checkpoint = pf_checkpoint_new("the new model", error);
    pf_rng_seed(&m.rng, shape->seed, 1);
    bool good = m.checkpoint && add_keys(&m, (uint32_t)vocabulary->n_pieces) &&
                pf_vocabulary_to_checkpoint(vocabulary, m.checkpoint, error) &&
                add_weights(&m, vocabulary->n_pieces);
    if (good) return m.checkpoint;
    pf_checkpoint_free(m.checkpoint);
    return NULL;
}
