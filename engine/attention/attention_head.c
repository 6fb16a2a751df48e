/* floor 1.11 - one KV head and one token: attention as this engine defines it. */
#include "attention_head.h"

#include "cached_attention.h"

#include <float.h>

/* x [D] from position 0 to its own position, or back. The ring of angles reaches as far back as the
 * window, so the key that leaves still has its own. */
void pf_head_rotate(const pf_attention_config *c, size_t position, float *x, bool inverse) {
    const float *angles = c->angles + position % c->angle_rows * 2 * c->pairs;
    pf_rope_turn(c->model->position, c->pairs, angles, x, inverse);
}

size_t pf_head_slots_used(const pf_head *head, size_t n_tokens) {
    size_t slots = head->sinks + head->window;
    return n_tokens < slots ? n_tokens : slots;
}

size_t pf_head_slot(const pf_head *head, size_t position) {
    size_t sinks = head->sinks;
    return position < sinks ? position : sinks + (position - sinks) % head->window;
}

/* Keys in the tail once n tokens have been read. */
size_t pf_head_folded(const pf_head *head, size_t n_tokens) {
    return n_tokens - pf_head_slots_used(head, n_tokens);
}

void pf_head_place_query(const pf_attention_config *c, pf_head_scratch *s, size_t row,
                         const float *q, size_t position) {
    size_t D = c->model->head_dim, bytes = D * sizeof *q;
    float *rotated = s->q + row * D, *for_sinks = s->q_sink + row * D;
    memcpy(rotated, q, bytes);
    pf_head_rotate(c, position, rotated, false);
    memcpy(s->q_features + row * D, c->tail_rope ? rotated : q, bytes);
    if (c->options.sinks == 0) return;
    if (position < c->sink_context) {
        memcpy(for_sinks, rotated, bytes);
    } else {
        memcpy(for_sinks, q, bytes);
        pf_rope_turn(c->model->position, c->pairs, c->sink_angles, for_sinks, false);
    }
}

void pf_head_place_queries(const pf_attention_config *c, pf_head_scratch *s, size_t p,
                           const float *q) {
    size_t D = c->model->head_dim;
    for (size_t g = 0; g < pf_attention_group(c); g++) pf_head_place_query(c, s, g, q + g * D, p);
}

/* The key and value that leave the window when token p comes, before it takes their slot. */
static void take_leaving(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                         size_t p, const float *v) {
    size_t bytes = c->model->head_dim * sizeof *v, leaving = p - head->window;
    if (head->window > 0) {
        size_t slot = pf_head_slot(head, leaving);
        pf_kv_cache_get(&head->cache, slot, s->leaving_key, s->leaving_value);
    } else {
        memcpy(s->leaving_key, s->key, bytes);
        memcpy(s->leaving_value, v, bytes);
    }
    if (!c->tail_rope) pf_head_rotate(c, leaving, s->leaving_key, true);
}

/* FAVOR+: S += phi(k) v^T and z += phi(k) for the key and value that leave; then phi(q) S and
 * phi(q).z for the G placed queries. `count` keys are folded by now. One tail serves all queries,
 * unless the checkpoint has a projection for each of them. */
static void fold_and_read(const pf_attention_config *c, pf_head *head, pf_head_scratch *s,
                          size_t count, pf_partial part) {
    size_t D = c->model->head_dim, M = head->tails[0].M;
    size_t n_tails = head->features.n_tails, per_tail = pf_attention_group(c) / n_tails;
    for (size_t i = 0; i < n_tails; i++) {
        size_t first = i * per_tail;
        pf_features_apply(&head->features.k[i], s->leaving_key, D, 1, s->phi_k, s->k_scale,
                          s->features);
        for (size_t g = first; g < first + per_tail; g++)
            pf_features_apply(&head->features.q[g], s->q_features + g * D, D, 1, s->phi_q + g * M,
                              part.log_scale + g, s->features);
        pf_favor_state_step(&head->tails[i], s->phi_k, s->k_scale[0], s->leaving_value,
                            s->phi_q + first * M, per_tail, count, pf_partial_row(part, first, D));
    }
    pf_history_append(&head->history, s->leaving_key, s->leaving_value, 1, D);
}

void pf_head_token_begin(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                         const float *k, const float *v, pf_partial tail) {
    size_t D = c->model->head_dim, count = pf_head_folded(head, p + 1);
    bool folds = head->tails && count > 0;
    memcpy(s->key, k, D * sizeof *k);
    pf_head_rotate(c, p, s->key, false);
    if (folds) take_leaving(c, head, s, p, v);
    if (p < head->sinks || head->window > 0)
        pf_kv_cache_put(&head->cache, pf_head_slot(head, p), s->key, v);
    if (folds)
        fold_and_read(c, head, s, count, tail);
    else
        pf_partial_clear(tail, pf_attention_group(c), D);
}

void pf_head_token_read(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                        size_t first, size_t end, pf_partial part) {
    size_t n_sinks = head->sinks > first ? head->sinks - first : 0;
    pf_cached_token(&head->cache, first, end, n_sinks, s->q, s->q_sink, pf_attention_group(c),
                    pf_model_score(c->model), s->scores, part);
}

float pf_head_denominator_floor(const pf_head *head) {
    if (!head->tails) return 0;
    const pf_features *phi = &head->features.k[0];
    return pf_map_is_signed(phi->map) ? 1e-6f * (float)phi->M : FLT_MIN;
}

/* One row: out = (exact + tail) / (their denominators), under one normaliser. */
void pf_head_finish_row(pf_head_scratch *s, size_t row, pf_partial tail, float floor,
                        const float *v, size_t D, float *out) {
    pf_partial sum = pf_partial_row(s->exact, row, D);
    if (*tail.log_scale > -INFINITY) {
        if (*tail.den > floor && isfinite(*tail.den))
            pf_partial_add(sum, tail, D);
        else
            s->bad_denominators++;
    }
    bool positive = *sum.den > 0;
    memcpy(out, positive ? sum.out : v, D * sizeof *out);
    if (positive) pf_kernels_get()->scale(out, 1 / *sum.den, D);
}

void pf_head_token_end(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                       pf_partial tail, const float *v, float *out) {
    size_t D = c->model->head_dim;
    float floor = pf_head_denominator_floor(head);
    for (size_t g = 0; g < pf_attention_group(c); g++)
        pf_head_finish_row(s, g, pf_partial_row(tail, g, D), floor, v, D, out + g * D);
}

void pf_head_append_token(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                          const float *q, const float *k, const float *v, float *out) {
    pf_head_place_queries(c, s, p, q);
    pf_head_token_begin(c, head, s, p, k, v, s->tail);
    pf_head_token_read(c, head, s, 0, pf_head_slots_used(head, p + 1), s->exact);
    pf_head_token_end(c, head, s, s->tail, v, out);
}
