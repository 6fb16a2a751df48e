/* floor 1.1 - pf_model: hyperparameters and weights of one checkpoint, const once loaded. */
#include "model.h"

#include "memory.h"

static uint64_t count_norm(pf_norm norm, uint64_t n) {
    return (norm.weight ? n : 0) + (norm.bias ? n : 0);
}

static uint64_t count_linear(pf_linear linear) {
    uint64_t rows = linear.weight.rows;
    return rows * linear.weight.cols + (linear.bias ? rows : 0);
}

static uint64_t count_layer(const pf_model *model, const pf_layer *layer) {
    uint64_t width = model->width, head_dim = model->head_dim;
    bool shared_norm = /* phi2 */
        model->parallel && layer->mlp_norm.weight == layer->attention_norm.weight;
    return count_norm(layer->attention_norm, width) + count_linear(layer->q) +
           count_linear(layer->k) + count_linear(layer->v) + count_linear(layer->output) +
           (layer->q_norm ? layer->qk_norm_whole ? layer->q.weight.rows : head_dim : 0) +
           (layer->k_norm ? layer->qk_norm_whole ? layer->k.weight.rows : head_dim : 0) +
           count_norm(layer->attention_post_norm, width) +
           (shared_norm ? 0 : count_norm(layer->mlp_norm, width)) +
           count_norm(layer->mlp_post_norm, width) + count_linear(layer->gate) +
           count_linear(layer->up) + count_linear(layer->down);
}

const float *pf_model_rope_factors(const pf_model *model, size_t session_context) {
    bool is_long = pf_model_is_long(model, session_context);
    return is_long ? model->long_rope_factors : model->rope_factors;
}

pf_rotary pf_model_rotary(const pf_model *model, size_t layer, size_t session_context) {
    const pf_layer *l = &model->layers[layer];
    bool rotates = pf_position_rotates(model->position) && !l->unrotated;
    uint32_t dim = rotates ? model->rope_dim : 0;
    float scale = model->rope_scale > 0 ? model->rope_scale : 1;
    if (l->window > 0 && model->sliding_rope_base > 0)
        return (pf_rotary){model->sliding_rope_base, NULL, dim, 1};
    const float *factors = pf_model_rope_factors(model, session_context);
    return (pf_rotary){model->rope_base, factors, dim, scale};
}

float *pf_rotary_table(pf_rotary rotary, size_t n, pf_error *error) {
    size_t pairs = rotary.dim / 2;
    double *frequency = pf_calloc(pairs, sizeof *frequency, "rotary angles", error);
    float *angles = pf_calloc(n, 2 * pairs * sizeof *angles, "rotary angles", error);
    if (frequency && angles) {
        pf_rope_frequencies(rotary.base, rotary.factors, rotary.dim, frequency);
        for (size_t t = 0; t < n; t++) pf_rope_angles(frequency, pairs, t, angles + t * 2 * pairs);
    } else {
        pf_free(angles);
        angles = NULL;
    }
    pf_free(frequency);
    return angles;
}

uint64_t pf_model_parameters(const pf_model *model) {
    uint64_t C = model->width,
             count = (uint64_t)model->n_vocab * C + count_norm(model->final_norm, C);
    if (model->position_embedding) count += (uint64_t)model->context * C;
    if (model->logits.weight.data != model->embedding.data)
        count += count_linear(model->logits);
    else if (model->logits.bias)
        count += model->n_vocab;
    for (uint32_t i = 0; i < model->n_layers; i++) count += count_layer(model, &model->layers[i]);
    return count;
}
