/* floor 6.2 - tiny performer: a tiny llama as `performer calibrate` would leave it, for tests. */
#ifndef PF_TINY_PERFORMER_H
#define PF_TINY_PERFORMER_H

#include "tiny_llama.h"

#include "attention_metadata.h"
#include "memory.h"
#include "rng.h"

#include <stdlib.h>

enum { TINY_M = 5, TINY_FORGET = 12 };

/* Per layer and KV head: few features and a window; as many as there are, without a window's help;
 * a window alone; an exact head. */
static const uint32_t tiny_windows[L * KV] = {4, 2, 7, PF_WINDOW_ALL};
static const uint32_t tiny_features[L * KV] = {3, TINY_M, 0, 4};

static float tiny_features_numbers[L][2][H * (TINY_M + 1) * (D + 1)];

static inline void add_fitted_side(pf_checkpoint *c, int layer, bool query, pf_rng *rng) {
    static const char *const names[2][2] = {{"k.weight", "k.bias"}, {"q.weight", "q.bias"}};
    uint64_t heads = query ? H : KV, rows = TINY_M + 1, shape[3] = {D, rows, heads};
    float *weight = tiny_features_numbers[layer][query], *bias = weight + heads * rows * D;
    pf_error error = {""};
    char name[64];
    for (size_t i = 0; i < heads * rows * (D + 1); i++)
        weight[i] = 0.5f * (float)pf_rng_normal(rng);
    snprintf(name, sizeof name, "blk.%d.favor.%s", layer, names[query][0]);
    assert_true(pf_checkpoint_add_tensor(c, name, PF_F32, 3, shape, weight,
                                         heads * rows * D * sizeof *weight, &error));
    snprintf(name, sizeof name, "blk.%d.favor.%s", layer, names[query][1]);
    assert_true(pf_checkpoint_add_tensor(c, name, PF_F32, 2, shape + 1, bias,
                                         heads * rows * sizeof *bias, &error));
}

/* Weights are random, those of norms near 1: the numbers that all tensors of a tiny llama share. */
static inline void enliven(pf_rng *rng) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (i < C ? 1 : 0) + 0.3f * (float)pf_rng_normal(rng);
}

static inline pf_checkpoint *tiny_performer(void) {
    pf_error error = {""};
    pf_checkpoint *c = whole();
    pf_attention_options a = pf_attention_options_default();
    pf_rng rng;
    pf_rng_seed(&rng, 8, 8);
    enliven(&rng);
    a.kind = PF_ATTENTION_FAVOR;
    a.map = PF_MAP_NORMALIZED;
    a.features = TINY_M;
    a.window = 4;
    a.sinks = 2;
    a.forget = TINY_FORGET;
    assert_true(pf_attention_to_checkpoint(&a, c, &error));
    assert_true(pf_checkpoint_set_bool(c, "performer.tail_rope", false, &error));
    assert_true(
        pf_checkpoint_set_array(c, "performer.windows", PF_META_U32, tiny_windows, L * KV, &error));
    assert_true(pf_checkpoint_set_array(c, "performer.head_features", PF_META_U32, tiny_features,
                                        L * KV, &error));
    for (int i = 0; i < L; i++) {
        add_fitted_side(c, i, true, &rng);
        add_fitted_side(c, i, false, &rng);
    }
    return c;
}

#endif
