/* floor 2.1 - fingerprint: 64 bits that identify a model's hyperparameters and weights. */
#include "fingerprint.h"

#include "checksum.h"

#include <string.h>

static void add(uint64_t *sum, const void *bytes, size_t size) {
    *sum = pf_checksum(*sum, bytes, size);
}

static void add_number(uint64_t *sum, uint64_t number) { add(sum, &number, sizeof number); }

static void add_float(uint64_t *sum, float number) { add(sum, &number, sizeof number); }

/* Whether the tensor exists counts too. */
static void add_floats(uint64_t *sum, const float *values, size_t n) {
    add_number(sum, values != NULL);
    if (values) add(sum, values, n * sizeof *values);
}

static void add_linear(uint64_t *sum, const pf_linear *linear) {
    const pf_matrix *m = &linear->weight;
    add_number(sum, m->rows);
    if (m->rows == 0) return;
    add_number(sum, m->cols);
    add_number(sum, (uint64_t)m->type);
    add(sum, m->data, m->rows * pf_row_bytes(m->type, m->cols));
    add_floats(sum, linear->bias, m->rows);
}

static void add_norm(uint64_t *sum, pf_norm norm, size_t n) {
    add_floats(sum, norm.weight, n);
    add_floats(sum, norm.bias, n);
}

static void add_favor(uint64_t *sum, const pf_model *model, const pf_favor_weights *f) {
    size_t D = model->head_dim, kv = model->n_kv_heads, fitted = (size_t)f->fitted_features + 1;
    add_floats(sum, f->projection, (size_t)f->n_projections * f->projection_features * D);
    add_floats(sum, f->q_center, kv * D);
    add_floats(sum, f->k_center, kv * D);
    add_floats(sum, f->proposal, kv * D);
    add_floats(sum, f->q_map, kv * D * D);
    add_floats(sum, f->k_map, kv * D * D);
    add_floats(sum, f->q_weight, model->n_heads * fitted * D);
    add_floats(sum, f->q_bias, model->n_heads * fitted);
    add_floats(sum, f->k_weight, kv * fitted * D);
    add_floats(sum, f->k_bias, kv * fitted);
}

static void add_layer(uint64_t *sum, const pf_model *model, const pf_layer *layer) {
    add_norm(sum, layer->attention_norm, model->width);
    add_linear(sum, &layer->q);
    add_linear(sum, &layer->k);
    add_linear(sum, &layer->v);
    add_linear(sum, &layer->output);
    add_floats(sum, layer->q_norm, layer->qk_norm_whole ? layer->q.weight.rows : model->head_dim);
    add_floats(sum, layer->k_norm, layer->qk_norm_whole ? layer->k.weight.rows : model->head_dim);
    add_norm(sum, layer->attention_post_norm, model->width);
    add_norm(sum, layer->mlp_norm, model->width);
    add_norm(sum, layer->mlp_post_norm, model->width);
    add_number(sum, layer->window);
    add_number(sum, layer->unrotated);
    add_linear(sum, &layer->gate);
    add_linear(sum, &layer->up);
    add_linear(sum, &layer->down);
    add_favor(sum, model, &layer->favor);
}

static void add_numbers(uint64_t *sum, const pf_model *model) {
    const uint64_t numbers[] = {model->n_layers,       model->width,
                                model->hidden,         model->n_heads,
                                model->n_kv_heads,     model->head_dim,
                                model->n_vocab,        model->context,
                                (uint64_t)model->norm, (uint64_t)model->position,
                                model->rope_dim,       (uint64_t)model->mlp,
                                model->tail_rope};
    add(sum, numbers, sizeof numbers);
    add_float(sum, model->norm_eps);
    add_float(sum, model->rope_base);
    add_float(sum, model->sliding_rope_base);
    add_float(sum, model->attention_scale);
    add_float(sum, model->attention_cap);
    add_float(sum, model->embedding_scale);
    add_float(sum, model->residual_scale);
    add_float(sum, model->logit_scale);
    add_number(sum, model->parallel);
    add_float(sum, model->logit_cap);
    add_floats(sum, model->rope_factors, model->rope_dim / 2);
    if (model->long_context > 0) {
        add_number(sum, model->long_context);
        add_floats(sum, model->long_rope_factors, model->rope_dim / 2);
    }
    if (model->rope_scale > 0) add_float(sum, model->rope_scale);
}

uint64_t pf_model_fingerprint(const pf_model *model) {
    uint64_t sum = 0;
    size_t heads = (size_t)model->n_layers * model->n_kv_heads;
    pf_linear embedding = {.weight = model->embedding};
    bool tied = model->logits.weight.data == model->embedding.data;
    add(&sum, model->family, strlen(model->family));
    add_numbers(&sum, model);
    if (model->windows) add(&sum, model->windows, heads * sizeof *model->windows);
    if (model->head_features) add(&sum, model->head_features, heads * sizeof *model->head_features);
    add_linear(&sum, &embedding);
    add_floats(&sum, model->position_embedding, (size_t)model->context * model->width);
    for (uint32_t i = 0; i < model->n_layers; i++) add_layer(&sum, model, &model->layers[i]);
    add_norm(&sum, model->final_norm, model->width);
    add_number(&sum, tied);
    if (!tied) add_linear(&sum, &model->logits);
    return sum;
}
