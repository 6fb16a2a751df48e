/* floor 2.2 - train weights: where each weight of a model is in one block of numbers. */
#include "train_weights.h"

#include "memory.h"
#include "quant.h"

#include <string.h>

static bool layer_is_plain(const pf_layer *l) {
    return l->attention_norm.weight && l->mlp_norm.weight && !l->attention_post_norm.weight &&
           !l->mlp_post_norm.weight && !l->q_norm && !l->k_norm && !l->q.bias && !l->k.bias &&
           !l->v.bias && !l->output.bias && !l->gate.bias && !l->up.bias && !l->down.bias &&
           l->gate.weight.rows > 0 && l->window == 0 && !l->unrotated;
}

bool pf_train_can(const pf_model *m, pf_error *error) {
    bool plain = m->norm == PF_NORM_RMS && pf_position_rotates(m->position) &&
                 m->mlp == PF_MLP_SWIGLU && m->attention_cap == 0 && m->logit_cap == 0 &&
                 m->embedding_scale == 1 && m->residual_scale == 1 && m->logit_scale == 1 &&
                 !m->parallel && !m->position_embedding && !m->logits.bias &&
                 (m->rope_scale == 0 || m->rope_scale == 1) && m->long_context == 0;
    for (size_t i = 0; plain && i < m->n_layers; i++) plain = layer_is_plain(&m->layers[i]);
    return plain || pf_fail(error,
                            "a model of the family %s cannot be trained: training knows models of "
                            "llama's shape (RMS norms, RoPE, SwiGLU, no biases)",
                            m->family);
}

void pf_train_weights_lay_out(const pf_model *m, pf_real *memory, pf_train_weights *w) {
    pf_carve carve = {.memory = (float *)(void *)memory};
    size_t C = m->width, F = m->hidden, HD = (size_t)m->n_heads * m->head_dim;
    size_t rows = HD + 2 * (size_t)m->n_kv_heads * m->head_dim;
    size_t per_number = sizeof(pf_real) / sizeof(float);
    w->embedding = pf_carve_reals(&carve, m->n_vocab * C);
    w->logits = w->embedding;
    if (m->logits.weight.data != m->embedding.data)
        w->logits = pf_carve_reals(&carve, m->n_vocab * C);
    for (size_t i = 0; i < m->n_layers; i++) {
        pf_train_layer *l = &w->layers[i];
        l->qkv = pf_carve_reals(&carve, rows * C);
        l->output = pf_carve_reals(&carve, C * HD);
        l->gate_up = pf_carve_reals(&carve, 2 * F * C);
        l->down = pf_carve_reals(&carve, C * F);
    }
    w->n_matrices = carve.used / per_number;
    w->final_norm = pf_carve_reals(&carve, C);
    for (size_t i = 0; i < m->n_layers; i++) {
        w->layers[i].attention_norm = pf_carve_reals(&carve, C);
        w->layers[i].mlp_norm = pf_carve_reals(&carve, C);
    }
    w->n = carve.used / per_number;
}

static void read_vector(const float *from, size_t n, pf_real *to) {
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* row [W.cols] is scratch. Returns the number after the last one written. */
static pf_real *read_matrix(pf_matrix W, float *row, pf_real *to) {
    size_t bytes = pf_row_bytes(W.type, W.cols);
    for (size_t r = 0; r < W.rows; r++, to += W.cols) {
        pf_dequantize_row(W.type, (const char *)W.data + r * bytes, row, W.cols);
        read_vector(row, W.cols, to);
    }
    return to;
}

bool pf_train_weights_read(const pf_model *m, const pf_train_weights *w, pf_error *error) {
    size_t HD = (size_t)m->n_heads * m->head_dim;
    size_t widest = m->width > m->hidden ? m->width : m->hidden;
    float *row = pf_calloc(widest > HD ? widest : HD, sizeof *row, "a row of weights", error);
    if (!row) return false;
    read_matrix(m->embedding, row, w->embedding);
    if (w->logits != w->embedding) read_matrix(m->logits.weight, row, w->logits);
    read_vector(m->final_norm.weight, m->width, w->final_norm);
    for (size_t i = 0; i < m->n_layers; i++) {
        const pf_layer *from = &m->layers[i];
        const pf_train_layer *to = &w->layers[i];
        pf_real *next = read_matrix(from->q.weight, row, to->qkv);
        next = read_matrix(from->k.weight, row, next);
        read_matrix(from->v.weight, row, next);
        read_matrix(from->output.weight, row, to->output);
        read_matrix(from->up.weight, row, read_matrix(from->gate.weight, row, to->gate_up));
        read_matrix(from->down.weight, row, to->down);
        read_vector(from->attention_norm.weight, m->width, to->attention_norm);
        read_vector(from->mlp_norm.weight, m->width, to->mlp_norm);
    }
    pf_free(row);
    return true;
}
