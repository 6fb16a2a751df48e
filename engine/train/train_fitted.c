/* floor 2.3 - train fitted: windows and features of single heads, and features that are learned. */
#include "train_fitted.h"

pf_train_head pf_train_head_of(const pf_attention_config *c, size_t layer, size_t kv_head) {
    const pf_attention_options *o = &c->options;
    size_t at = layer * c->model->n_kv_heads + kv_head;
    uint32_t window = c->windows ? c->windows[at] : o->window;
    if (o->kind == PF_ATTENTION_SOFTMAX || window == PF_WINDOW_ALL)
        return (pf_train_head){.window = SIZE_MAX};
    size_t M = c->head_features ? c->head_features[at] : o->features;
    return (pf_train_head){o->sinks, window, o->kind == PF_ATTENTION_FAVOR ? M : 0};
}

static size_t numbers(size_t M, size_t D) { return M > 0 ? (M + 1) * (D + 1) : 0; }

static size_t numbers_of(const pf_attention_config *c, size_t layer, size_t kv_head) {
    return numbers(pf_train_head_of(c, layer, kv_head).M, c->model->head_dim);
}

size_t pf_train_fitted_at(const pf_attention_config *c, size_t layer, bool query, size_t head) {
    size_t KV = c->model->n_kv_heads, G = pf_attention_group(c), at = 0;
    if (c->options.map != PF_MAP_NORMALIZED) return 0;
    for (size_t i = 0; i < layer; i++)
        for (size_t k = 0; k < KV; k++) at += (G + 1) * numbers_of(c, i, k);
    if (layer == c->model->n_layers) return at;
    for (size_t h = 0; h < (query ? head : G * KV); h++) at += numbers_of(c, layer, h / G);
    for (size_t k = 0; k < (query ? 0 : head); k++) at += numbers_of(c, layer, k);
    return at;
}

/* ---- between the block and a layer's tensors ---- */

/* Where one head's rows are in both. */
typedef struct head_rows {
    size_t M, D, most;
    size_t block, tensor; /* numbers before them; rows before them */
} head_rows;

static head_rows rows_of(const pf_attention_config *c, size_t layer, bool query, size_t head) {
    size_t kv_head = query ? head / pf_attention_group(c) : head;
    size_t most = c->model->layers[layer].favor.fitted_features;
    return (head_rows){pf_train_head_of(c, layer, kv_head).M, c->model->head_dim, most,
                       pf_train_fitted_at(c, layer, query, head), head * (most + 1)};
}

/* The last row of both, t and c, is row `most` of the tensor. */
static size_t tensor_row(const head_rows *r, size_t m) {
    return r->tensor + (m < r->M ? m : r->most);
}

static size_t heads_of(const pf_attention_config *c, bool query) {
    return query ? c->model->n_heads : c->model->n_kv_heads;
}

static void read_side(const pf_attention_config *c, size_t layer, bool query, pf_real *block) {
    const pf_favor_weights *w = &c->model->layers[layer].favor;
    const float *weight = query ? w->q_weight : w->k_weight;
    const float *bias = query ? w->q_bias : w->k_bias;
    for (size_t h = 0; h < heads_of(c, query); h++) {
        head_rows r = rows_of(c, layer, query, h);
        pf_real *to = block + r.block, *to_bias = to + (r.M + 1) * r.D;
        for (size_t m = 0; r.M > 0 && m <= r.M; m++) {
            size_t row = tensor_row(&r, m);
            for (size_t d = 0; d < r.D; d++) to[m * r.D + d] = weight[row * r.D + d];
            to_bias[m] = bias[row];
        }
    }
}

void pf_train_fitted_read(const pf_attention_config *c, pf_real *block) {
    if (c->options.map != PF_MAP_NORMALIZED) return;
    for (size_t i = 0; i < c->model->n_layers; i++) {
        read_side(c, i, true, block);
        read_side(c, i, false, block);
    }
}

void pf_train_fitted_write(const pf_attention_config *c, const pf_real *block, size_t layer,
                           bool query, float *weight, float *bias) {
    for (size_t h = 0; h < heads_of(c, query); h++) {
        head_rows r = rows_of(c, layer, query, h);
        const pf_real *from = block + r.block, *from_bias = from + (r.M + 1) * r.D;
        for (size_t m = 0; r.M > 0 && m <= r.M; m++) {
            size_t row = tensor_row(&r, m);
            for (size_t d = 0; weight && d < r.D; d++)
                weight[row * r.D + d] = (float)from[m * r.D + d];
            if (bias) bias[row] = (float)from_bias[m];
        }
    }
}
