/* floor 1.12 - attention of many tokens: one KV head, in blocks that run as matrix products. */
#include "attention_block.h"

#include "cached_attention.h"
#include "favor_state_block.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Query head g of T tokens from position p on. */
static void place_rows(const pf_attention_config *c, pf_head_scratch *s, size_t p, size_t T,
                       size_t g, const float *q) {
    size_t D = c->model->head_dim, stride = pf_attention_stride_q(c);
    for (size_t t = 0; t < T; t++) pf_head_place_query(c, s, t, q + t * stride + g * D, p + t);
}

static void finish_rows(const pf_attention_config *c, pf_head_scratch *s, size_t T, size_t g,
                        float floor, const float *v, float *out) {
    size_t D = c->model->head_dim;
    for (size_t t = 0; t < T; t++)
        pf_head_finish_row(s, t, pf_partial_row(s->tail, t, D), floor,
                           v + t * pf_attention_stride_kv(c), D,
                           out + t * pf_attention_stride_q(c) + g * D);
}

/* ---- what blocks are made of ---- */

size_t pf_head_room(const pf_head *head, size_t p, size_t T) {
    size_t slots = head->sinks + head->window;
    return p < slots ? smaller(T, slots - p) : 0;
}

bool pf_head_shares(const pf_head *head, size_t p, size_t T) {
    return !head->tails || pf_head_room(head, p, T) == T;
}

size_t pf_head_block(const pf_head *head, size_t p, size_t T) {
    size_t room = pf_head_room(head, p, T);
    return smaller(room > 0 ? room : T, PF_QUERY_BLOCK);
}

void pf_head_store(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s, size_t p,
                   size_t T, const float *k, const float *v) {
    size_t stride = pf_attention_stride_kv(c);
    for (size_t t = 0; t < T; t++) {
        if (p + t >= head->sinks && t + head->window < T) continue;
        memcpy(s->key, k + t * stride, c->model->head_dim * sizeof *k);
        pf_head_rotate(c, p + t, s->key, false);
        pf_kv_cache_put(&head->cache, pf_head_slot(head, p + t), s->key, v + t * stride);
    }
}

/* ---- while nothing leaves: position j is in slot j ---- */

static void read_all(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                     size_t p, size_t T) {
    size_t S = smaller(head->sinks, p + T);
    ptrdiff_t position = (ptrdiff_t)p;
    pf_score score = pf_model_score(c->model);
    pf_cached_rows(&head->cache, 0, S, s->q_sink, T, position + 1, score, s->scores, s->exact);
    pf_cached_rows(&head->cache, S, p + T, s->q, T, position + 1 - (ptrdiff_t)S, score, s->scores,
                   s->exact);
}

/* ---- once each new token pushes one out ---- */

/* K, V: rows 0 ... W-1 the window before position p, rows W ... W+T-1 the new tokens, keys rotated.
 * Row t is the token that leaves when token p + t comes. */
void pf_head_gather(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                    size_t stored, size_t p, size_t T, const float *k, const float *v) {
    size_t D = c->model->head_dim, W = head->window, stride = pf_attention_stride_kv(c);
    for (size_t i = 0; i < W + T; i++) {
        size_t position = p + i - W;
        float *key = s->K + i * D, *value = s->V + i * D;
        if (position < stored) {
            pf_kv_cache_get(&head->cache, pf_head_slot(head, position), key, value);
            continue;
        }
        memcpy(key, k + (position - stored) * stride, D * sizeof *key);
        memcpy(value, v + (position - stored) * stride, D * sizeof *value);
        pf_head_rotate(c, position, key, false);
        if (W == 0) continue; /* cached nowhere, so rounded nowhere */
        pf_kv_cache_round(&head->cache, key);
        pf_kv_cache_round(&head->cache, value);
    }
}

/* Sinks, and of the gathered rows those that query t sees: t + 1 ... t + W. */
static void read_window(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                        size_t T) {
    size_t D = c->model->head_dim, W = head->window, S = head->sinks;
    pf_score score = pf_model_score(c->model);
    pf_cached_rows(&head->cache, 0, S, s->q_sink, T, (ptrdiff_t)S, score, s->scores, s->exact);
    if (W > 0)
        pf_exact_rows(s->q, T, (pf_matrix){PF_F32, W + T, D, s->K},
                      (pf_matrix){PF_F32, W + T, D, s->V}, 1, (ptrdiff_t)W + 1, score, s->scores,
                      s->exact);
}

void pf_head_read(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s, size_t p,
                  size_t T, size_t g, const float *q, const float *v, float *out) {
    size_t D = c->model->head_dim;
    place_rows(c, s, p, T, g, q);
    pf_partial_clear(s->exact, T, D);
    pf_partial_clear(s->tail, T, D);
    if (pf_head_room(head, p, T) > 0)
        read_all(c, head, s, p, T);
    else
        read_window(c, head, s, T);
    finish_rows(c, s, T, g, 0, v, out);
}

/* ---- and the tail takes it ---- */

void pf_head_map_leaving_keys(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                              size_t i, size_t T) {
    pf_features_apply(&head->features.k[i], s->leaving_key, c->model->head_dim, T, s->phi_k,
                      s->k_scale, s->features);
}

/* The keys of T tokens that leave, as the tail reads them, and in the history if there is one.
 * Returns how many of them one block can take: all, unless their log-scales rise too fast. */
static size_t take_leaving_keys(const pf_attention_config *c, pf_head *head, pf_head_scratch *s,
                                size_t p, size_t T) {
    size_t D = c->model->head_dim;
    memcpy(s->leaving_key, s->K, T * D * sizeof *s->K);
    if (!c->tail_rope)
        for (size_t t = 0; t < T; t++)
            pf_head_rotate(c, p + t - head->window, s->leaving_key + t * D, true);
    for (size_t i = 0; i < head->features.n_tails; i++) {
        pf_head_map_leaving_keys(c, head, s, i, T);
        T = pf_favor_state_fit(&head->tails[i], s->k_scale, T);
    }
    pf_history_append(&head->history, s->leaving_key, s->V, T, D);
    return T;
}

/* Query head g of T tokens; the tail has its keys' features prepared in phi_k. */
static void read_with_tail(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                           const pf_favor_state *tail, size_t g, size_t p, size_t T, const float *q,
                           const float *v, float *out) {
    size_t D = c->model->head_dim;
    place_rows(c, s, p, T, g, q);
    pf_partial_clear(s->exact, T, D);
    pf_partial_clear(s->tail, T, D);
    read_window(c, head, s, T);
    pf_features_apply(&head->features.q[g], s->q_features, D, T, s->phi_q, s->tail.log_scale,
                      s->features);
    pf_favor_state_read(tail, s->phi_k, s->V, D, T, s->phi_q, s->rescale, pf_head_folded(head, p),
                        s->products, s->tail);
    finish_rows(c, s, T, g, pf_head_denominator_floor(head), v, out);
}

/* At most T tokens, each of which pushes one out of the window to the tail; returns how many it
 * took. */
static size_t append_with_tail(const pf_attention_config *c, pf_head *head, pf_head_scratch *s,
                               size_t p, size_t T, const float *q, const float *k, const float *v,
                               float *out) {
    size_t D = c->model->head_dim, n_tails = head->features.n_tails;
    size_t per_tail = pf_attention_group(c) / n_tails;
    pf_head_gather(c, head, s, p, p, T, k, v);
    T = take_leaving_keys(c, head, s, p, T);
    for (size_t i = 0; i < n_tails; i++) {
        pf_favor_state *tail = &head->tails[i];
        if (n_tails > 1) pf_head_map_leaving_keys(c, head, s, i, T);
        pf_favor_state_prepare(tail, s->phi_k, s->k_scale, T, s->rescale);
        for (size_t g = i * per_tail; g < (i + 1) * per_tail; g++)
            read_with_tail(c, head, s, tail, g, p, T, q, v, out);
        pf_favor_state_fold(tail, s->phi_k, s->V, D, T);
    }
    pf_head_store(c, head, s, p, T, k, v);
    return T;
}

/* Nothing leaves, or it is forgotten. */
static void append_exact(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                         size_t T, const float *q, const float *k, const float *v, float *out) {
    bool fits = pf_head_room(head, p, T) > 0;
    if (fits)
        pf_head_store(c, head, s, p, T, k, v);
    else
        pf_head_gather(c, head, s, p, p, T, k, v);
    for (size_t g = 0; g < pf_attention_group(c); g++) pf_head_read(c, head, s, p, T, g, q, v, out);
    if (!fits) pf_head_store(c, head, s, p, T, k, v);
}

void pf_head_append_block(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                          size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t stride_q = pf_attention_stride_q(c), stride_kv = pf_attention_stride_kv(c);
    for (size_t n; T > 0; T -= n, p += n) {
        n = pf_head_block(head, p, T);
        if (pf_head_shares(head, p, n))
            append_exact(c, head, s, p, n, q, k, v, out);
        else
            n = append_with_tail(c, head, s, p, n, q, k, v, out);
        q += n * stride_q;
        out += n * stride_q;
        k += n * stride_kv;
        v += n * stride_kv;
    }
}
