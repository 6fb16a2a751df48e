/* floor 5.4 - FLOP count: bytes moved and operations done per token, counted from the shapes. */
#include "flop_count.h"

#include "attention_plan.h"

static double matrix_bytes(pf_matrix m) {
    return m.rows ? (double)m.rows * (double)pf_row_bytes(m.type, m.cols) : 0;
}

static double matrix_flops(pf_matrix m) { return 2.0 * (double)m.rows * (double)m.cols; }

enum { LAYER_MATRICES = 7 };

static void layer_matrices(const pf_layer *layer, pf_matrix *matrices) {
    const pf_linear *all[LAYER_MATRICES] = {&layer->q,    &layer->k,  &layer->v,   &layer->output,
                                            &layer->gate, &layer->up, &layer->down};
    for (int i = 0; i < LAYER_MATRICES; i++) matrices[i] = all[i]->weight;
}

/* Exact attention of one KV head to n tokens: q.k and the weighted sum of v. */
static flop_count count_exact(const pf_model *m, pf_kv_kind kv, double n) {
    double D = m->head_dim, G = m->n_heads / m->n_kv_heads;
    return (flop_count){.bytes = (double)pf_kv_bytes(kv, 1, m->head_dim) * n,
                        .flops = 4 * D * G * n};
}

/* The tail of one KV head. Bytes: S [M, D] and z [M], read and written. Operations: phi of every q
 * and k (M x D each), the update of S and z for every k, and reading them for every q. Prefill in
 * chunks does about the same. */
static flop_count count_tail(const pf_model *m, double M) {
    double D = m->head_dim, G = m->n_heads / m->n_kv_heads;
    return (flop_count){.bytes = 2 * 4 * M * (D + 1),
                        .flops = 2 * M * D * (G + 1) + 2 * M * (D + 1) * (G + 1)};
}

/* All layers: one token after `context` others; with `prefill`, the mean over a prompt of `context`
 * tokens. */
static flop_count count_attention(const pf_model *m, const pf_attention_options *attention,
                                  double context, bool prefill) {
    pf_attention_config config = pf_attention_configure(m, *attention, m->context);
    double seen = prefill ? (context + 1) / 2 : context + 1;
    bool softmax = attention->kind == PF_ATTENTION_SOFTMAX;
    flop_count total = {0};
    for (size_t i = 0; i < pf_attention_n_heads(&config); i++) {
        pf_head_plan plan = pf_head_plan_of(&config, i);
        double most = (double)plan.sinks + (double)plan.window;
        flop_count exact = count_exact(m, attention->kv, softmax || seen < most ? seen : most);
        flop_count tail = count_tail(m, (double)plan.M * (double)plan.n_tails);
        total.bytes += exact.bytes + tail.bytes;
        total.flops += exact.flops + tail.flops;
    }
    return total;
}

flop_count flop_count_token(const pf_model *model, const pf_attention_options *attention,
                            size_t context, bool prefill) {
    flop_count total = count_attention(model, attention, (double)context, prefill);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        pf_matrix matrices[LAYER_MATRICES];
        layer_matrices(&model->layers[l], matrices);
        for (int i = 0; i < LAYER_MATRICES; i++) {
            total.bytes += matrix_bytes(matrices[i]);
            total.flops += matrix_flops(matrices[i]);
        }
    }
    double share = prefill ? 1 / (double)context : 1; /* of the tokens needs logits */
    total.bytes += share * matrix_bytes(model->logits.weight);
    total.flops += share * matrix_flops(model->logits.weight);
    return total;
}

double flop_count_attention(const pf_model *model, const pf_attention_options *attention,
                            size_t n) {
    return (double)n * count_attention(model, attention, (double)n, true).flops / model->n_layers;
}

pf_type flop_count_main_type(const pf_model *model) {
    double bytes[PF_TYPE_COUNT] = {0};
    bytes[model->logits.weight.type] += matrix_bytes(model->logits.weight);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        pf_matrix matrices[LAYER_MATRICES];
        layer_matrices(&model->layers[l], matrices);
        for (int i = 0; i < LAYER_MATRICES; i++)
            bytes[matrices[i].type] += matrix_bytes(matrices[i]);
    }
    pf_type best = PF_F32;
    for (int type = 0; type < PF_TYPE_COUNT; type++)
        if (bytes[type] > bytes[best]) best = (pf_type)type;
    return best;
}
