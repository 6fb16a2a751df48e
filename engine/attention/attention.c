/* floor 1.17 - attention of a layer: each member of the team computes the heads that are its share.
 *
 * The definition is pf_head_append_token: one token, one head, one thread. The rest accelerates it,
 * for blocks of tokens and heads that several members share, or redraws features. */
#include "attention.h"

#include "attention_share.h"
#include "attention_upkeep.h"

bool pf_attention_begin(pf_attention *a, size_t position, size_t T, pf_error *error) {
    pf_attention_compute_angles(a, position, T);
    if (!pf_kv_pool_reserve(&a->pool, position + T, error)) return false;
    if (!pf_attention_redraws_in_text(a)) return true;
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++) {
        pf_head *head = &a->heads[i];
        if (head->tails && !pf_history_reserve(&head->history, head->history.count + T,
                                               a->config.model->head_dim, error))
            return false;
    }
    return true;
}

/* One head over T tokens, or those of them that come before the next redraw. */
static void append_head(pf_attention *a, pf_member me, size_t index, size_t position, size_t T,
                        const float *q, const float *k, const float *v, float *out) {
    const pf_attention_config *c = &a->layers[index / a->config.model->n_kv_heads];
    size_t stride_q = pf_attention_stride_q(c), stride_kv = pf_attention_stride_kv(c);
    pf_head *head = &a->heads[index];
    pf_head_scratch *scratch = &a->scratch[me.index];
    pf_attention_stabilize_noncausally(a, me, index, position, T, k);
    for (size_t n; T > 0; T -= n, position += n) {
        n = pf_attention_redraw_if_due(a, me, index, position,
                                       T); /* tokens until the next redraw */
        if (n == 1)
            pf_head_append_token(c, head, scratch, position, q, k, v, out);
        else
            pf_head_append_block(c, head, scratch, position, n, q, k, v, out);
        q += n * stride_q;
        out += n * stride_q;
        k += n * stride_kv;
        v += n * stride_kv;
    }
}

void pf_attention_append(pf_attention *a, pf_member me, uint32_t layer, size_t position, size_t T,
                         const float *q, const float *k, const float *v, float *out) {
    const pf_attention_config *c = &a->layers[layer];
    size_t D = c->model->head_dim, GD = pf_attention_group(c) * D, n = c->model->n_kv_heads;
    size_t first = layer * n, begin, end;
    pf_shared_layer shared = {c, a->heads + first, &a->scratch[me.index], a->parts};
    bool whole_heads = pf_attention_redraws_in_text(a) || c->options.noncausal_stabilizer;
    if (!whole_heads && pf_shared_pays(&shared, me, position, T)) {
        pf_shared_append(&shared, me, position, T, q, k, v, out);
        return;
    }
    pf_share(me, n, 1, &begin, &end);
    for (size_t h = begin; h < end; h++)
        append_head(a, me, first + h, position, T, q + h * GD, k + h * D, v + h * D, out + h * GD);
}
