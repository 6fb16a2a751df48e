/* floor 5.4 - FLOP count: bytes moved and operations done per token, counted from the shapes. */
#include "flop_count.h"

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

/* Exact attention to n tokens in one layer: q.k and the weighted sum of v. */
static flop_count count_exact(const pf_model *m, pf_kv_kind kv, double n) {
    double D = m->head_dim, bytes = kv == PF_KV_F16 ? 2 : 4;
    return (flop_count){.bytes = 2 * bytes * D * m->n_kv_heads * n,
                        .flops = 4 * D * m->n_heads * n};
}

/* Bytes: S [M, D] and z [M] of each KV head, read and written. Operations: phi of every q and k
 * (M x D each), the update of S and z for every k, and reading them for every q. Prefill in chunks
 * does about the same. */
static flop_count count_tail(const pf_model *m, double M) {
    double D = m->head_dim, H = m->n_heads, G = m->n_kv_heads;
    return (flop_count){.bytes = 2 * 4 * M * (D + 1) * G,
                        .flops = 2 * M * D * (H + G) + 2 * M * (D + 1) * (H + G)};
}

/* One token after `context` others; with `prefill`, the mean over a prompt of `context` tokens. */
static flop_count count_attention(const pf_model *m, const pf_attention_options *attention,
                                  double context, bool prefill) {
    double exact = prefill ? (context + 1) / 2 : context + 1;
    if (attention->kind != PF_ATTENTION_SOFTMAX) {
        double most = (double)attention->window + (double)attention->sinks;
        if (exact > most) exact = most;
    }
    flop_count total = count_exact(m, attention->kv, exact);
    if (attention->kind == PF_ATTENTION_FAVOR) {
        flop_count tail = count_tail(m, attention->features);
        total.bytes += tail.bytes;
        total.flops += tail.flops;
    }
    return total;
}

flop_count flop_count_token(const pf_model *model, const pf_attention_options *attention,
                            size_t context, bool prefill) {
    flop_count one = count_attention(model, attention, (double)context, prefill);
    flop_count total = {one.bytes * model->n_layers, one.flops * model->n_layers};
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
    return (double)n * count_attention(model, attention, (double)n, true).flops;
}

pf_type flop_count_types(const pf_model *model, double *shares) {
    double total = matrix_bytes(model->logits.weight);
    for (int type = 0; type < PF_TYPE_COUNT; type++) shares[type] = 0;
    shares[model->logits.weight.type] += total;
    for (uint32_t l = 0; l < model->n_layers; l++) {
        pf_matrix matrices[LAYER_MATRICES];
        layer_matrices(&model->layers[l], matrices);
        for (int i = 0; i < LAYER_MATRICES; i++) {
            shares[matrices[i].type] += matrix_bytes(matrices[i]);
            total += matrix_bytes(matrices[i]);
        }
    }
    pf_type best = PF_F32;
    for (int type = 0; type < PF_TYPE_COUNT; type++) {
        shares[type] /= total;
        if (shares[type] > shares[best]) best = (pf_type)type;
    }
    return best;
}
