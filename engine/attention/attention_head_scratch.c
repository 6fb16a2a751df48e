/* floor 1.10 - one KV head at work: how its working memory is laid out. */
#include "attention_head.h"

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Lays the arrays of a scratch out one after the other; memory NULL only counts. */
static size_t lay_out(pf_head_scratch *s, float *memory, const pf_head_shape *shape,
                      size_t max_slots, size_t max_M) {
    size_t D = shape->D, block = PF_QUERY_BLOCK, rows = larger(block, shape->G);
    struct {
        float **array;
        size_t floats;
    } arrays[] = {
        {&s->q, rows * D},
        {&s->q_sink, rows * D},
        {&s->q_features, rows * D},
        {&s->K, (max_slots + block) * D},
        {&s->V, (max_slots + block) * D},
        {&s->K_folded, block * D},
        {&s->phi_q, rows * max_M},
        {&s->phi_k, block * max_M},
        {&s->k_scale, block},
        {&s->drop, block},
        {&s->products, larger(block * block, D)},
        {&s->scores, larger(pf_exact_scratch(block, D), shape->G * max_slots)},
        {&s->features, pf_features_scratch(D, max_M, rows)},
        {&s->exact.out, rows * D},
        {&s->exact.den, rows},
        {&s->exact.scale, rows},
        {&s->tail.out, rows * D},
        {&s->tail.den, rows},
        {&s->tail.scale, rows},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (memory) *arrays[i].array = memory + used;
        used += (arrays[i].floats + 15) / 16 * 16; /* whole cache lines */
    }
    return used;
}

size_t pf_head_scratch_floats(const pf_head_shape *shape, size_t max_slots, size_t max_M) {
    pf_head_scratch ignored = {0};
    return lay_out(&ignored, NULL, shape, max_slots, max_M);
}

pf_head_scratch pf_head_scratch_at(float *memory, const pf_head_shape *shape, size_t max_slots,
                                   size_t max_M) {
    pf_head_scratch scratch = {0};
    lay_out(&scratch, memory, shape, max_slots, max_M);
    return scratch;
}
