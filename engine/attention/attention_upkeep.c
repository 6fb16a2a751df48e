/* floor 1.16 - attention upkeep: angles and features brought up to date as a text goes on. */
#include "attention_upkeep.h"

#include "attention_block.h"
#include "favor_state_block.h"
#include "memory.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void pf_attention_compute_angles(pf_attention *a, size_t position, size_t T) {
    const pf_attention_config *c = &a->config;
    for (size_t set = 0; set < pf_attention_angle_sets(c); set++)
        for (size_t p = position; c->pairs > 0 && p < position + T; p++)
            pf_rope_angles(a->frequency + set * c->pairs, c->pairs, p,
                           a->angles + (set * c->angle_rows + p % c->angle_rows) * 2 * c->pairs);
}

void pf_attention_draw_head(pf_attention *a, size_t index, uint32_t draw, double *scratch) {
    uint32_t n = a->config.model->n_kv_heads;
    if (!a->heads[index].tails) return;
    a->draws[index] = draw;
    pf_head_features_draw(&a->heads[index].features, &a->config, (uint32_t)(index / n),
                          (uint32_t)(index % n), draw, scratch);
}

bool pf_attention_saves_part(const pf_attention *a, size_t index) {
    size_t layer = index / a->config.model->n_kv_heads;
    return a->heads[index].cache.pool || a->layers[layer].options.kind == PF_ATTENTION_SOFTMAX;
}

bool pf_attention_redraws_in_text(const pf_attention *a) {
    const pf_attention_options *options = &a->config.options;
    return options->kind == PF_ATTENTION_FAVOR && options->redraw != PF_REDRAW_NEVER &&
           options->redraw != PF_REDRAW_SEQUENCE;
}

/* The first position from `position` on where a layer draws anew: every N tokens, with the layers
 * spread evenly over the N so that not all of their work falls on one token. */
static size_t next_redraw(const pf_attention *a, size_t layer, size_t position) {
    size_t N = a->config.options.redraw, offset = layer * N / a->config.model->n_layers;
    if (position == 0) position = 1; /* the first draw is for the first tokens */
    size_t past = position + N - offset;
    return (past + N - 1) / N * N + offset - N;
}

/* Folds the history again after the features have changed. */
static void fold_history(const pf_attention_config *c, pf_head *head, pf_head_scratch *s) {
    size_t D = c->model->head_dim, n = head->history.count;
    for (size_t i = 0; i < head->features.n_tails; i++) {
        pf_favor_state *tail = &head->tails[i];
        pf_favor_state_reset(tail);
        for (size_t first = 0, size; first < n; first += size) {
            size = smaller(n - first, PF_QUERY_BLOCK);
            pf_features_apply(&head->features.k[i], head->history.keys + first * D, D, size,
                              s->phi_k, s->k_scale, s->features);
            size = pf_favor_state_fit(tail, s->k_scale, size);
            pf_favor_state_prepare(tail, s->phi_k, s->k_scale, size, s->rescale);
            pf_favor_state_fold(tail, s->phi_k, head->history.values + first * D, D, size);
        }
    }
}

static void redraw(pf_attention *a, pf_member member, size_t index, size_t position) {
    size_t D = a->config.model->head_dim, m = (size_t)member.index;
    /* numbered by text and position, so that a text has one result whatever its chunks */
    uint32_t draw = a->draw + 0x10000u * (uint32_t)(1 + position / a->config.options.redraw);
    pf_attention_draw_head(a, index, draw, a->draw_scratch + m * D * D);
    fold_history(&a->config, &a->heads[index], &a->scratch[m]);
    if (index % a->config.model->n_kv_heads == 0) a->redraws[m * PF_ALIGN / sizeof *a->redraws]++;
}

size_t pf_attention_redraw_if_due(pf_attention *a, pf_member member, size_t index, size_t position,
                                  size_t T) {
    if (!pf_attention_redraws_in_text(a) || !a->heads[index].tails) return T;
    size_t layer = index / a->config.model->n_kv_heads, due = next_redraw(a, layer, position);
    if (due == position) {
        redraw(a, member, index, due);
        due = next_redraw(a, layer, due + 1);
    }
    return smaller(T, due - position);
}

void pf_attention_stabilize_noncausally(pf_attention *a, pf_member member, size_t index,
                                        size_t position, size_t T, const float *k) {
    const pf_attention_config *c = &a->config;
    pf_head *head = &a->heads[index];
    pf_head_scratch *s = &a->scratch[member.index];
    size_t D = c->model->head_dim;
    if (!c->options.noncausal_stabilizer || !head->tails) return;
    for (size_t done = 0, n; done < T; done += n) {
        n = smaller(T - done, PF_QUERY_BLOCK);
        for (size_t t = 0; t < n; t++) {
            float *key = s->leaving_key + t * D;
            memcpy(key, k + (done + t) * pf_attention_stride_kv(c), D * sizeof *key);
            if (c->tail_rope) pf_head_rotate(c, position + done + t, key, false);
        }
        for (size_t i = 0; i < head->features.n_tails; i++) {
            pf_head_map_leaving_keys(c, head, s, i, n);
            pf_favor_state_raise(&head->tails[i], pf_kernels_get()->max(s->k_scale, n));
        }
    }
}
