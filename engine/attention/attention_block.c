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

/* ---- while nothing leaves: position j is in slot j ---- */

bool pf_head_fills(const pf_head *head, size_t p, size_t T) {
    return p + T <= head->sinks + head->window;
}

void pf_head_store(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                   size_t T, const float *k, const float *v) {
    size_t stride = pf_attention_stride_kv(c);
    for (size_t t = 0; t < T; t++) {
        memcpy(s->key, k + t * stride, c->model->head_dim * sizeof *k);
        pf_head_rotate(c, p + t, s->key, false);
        pf_kv_cache_put(&head->cache, p + t, s->key, v + t * stride);
    }
}

void pf_head_read(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s, size_t p,
                  size_t T, size_t g, const float *q, const float *v, float *out) {
    size_t D = c->model->head_dim, S = smaller(head->sinks, p + T);
    ptrdiff_t position = (ptrdiff_t)p;
    pf_score score = pf_model_score(c->model);
    place_rows(c, s, p, T, g, q);
    pf_partial_clear(s->exact, T, D);
    pf_partial_clear(s->tail, T, D);
    pf_cached_rows(&head->cache, 0, S, s->q_sink, T, position + 1, score, s->scores, s->exact);
    pf_cached_rows(&head->cache, S, p + T, s->q, T, position + 1 - (ptrdiff_t)S, score, s->scores,
                   s->exact);
    finish_rows(c, s, T, g, 0, v, out);
}

/* ---- once each new token pushes one out ---- */

/* K, V: rows 0 ... W-1 the window before position p, rows W ... W+T-1 the new tokens, keys rotated.
 * Row t is the token that leaves when token p + t comes. */
static void gather_window(const pf_attention_config *c, const pf_head *head, pf_head_scratch *s,
                          size_t p, size_t T, const float *k, const float *v) {
    size_t D = c->model->head_dim, W = head->window, stride = pf_attention_stride_kv(c);
    for (size_t i = 0; i < W; i++)
        pf_kv_cache_get(&head->cache, pf_head_slot(head, p + i - W), s->K + i * D, s->V + i * D);
    for (size_t t = 0; t < T; t++) {
        float *key = s->K + (W + t) * D, *value = s->V + (W + t) * D;
        memcpy(key, k + t * stride, D * sizeof *key);
        memcpy(value, v + t * stride, D * sizeof *value);
        pf_head_rotate(c, p + t, key, false);
        if (W == 0) continue; /* cached nowhere, so rounded nowhere */
        pf_kv_cache_round(&head->cache, key);
        pf_kv_cache_round(&head->cache, value);
    }
}

/* Stores T tokens from position p on; those that others of the T push out again are skipped. */
static void store_window(const pf_attention_config *c, pf_head *head, const float *K,
                         const float *V, size_t p, size_t T) {
    size_t D = c->model->head_dim;
    for (size_t t = 0; t < T; t++) {
        if (p + t >= head->sinks && t + head->window < T) continue;
        pf_kv_cache_put(&head->cache, pf_head_slot(head, p + t), K + t * D, V + t * D);
    }
}

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

/* Query head g of T tokens. `tail` (NULL: none) has its keys' features prepared in phi_k. */
static void append_steady_query(const pf_attention_config *c, const pf_head *head,
                                pf_head_scratch *s, const pf_favor_state *tail, size_t g, size_t p,
                                size_t T, const float *q, const float *v, float *out) {
    size_t D = c->model->head_dim, W = head->window, S = head->sinks;
    place_rows(c, s, p, T, g, q);
    pf_partial_clear(s->exact, T, D);
    pf_partial_clear(s->tail, T, D);
    pf_cached_rows(&head->cache, 0, S, s->q_sink, T, (ptrdiff_t)S, pf_model_score(c->model),
                   s->scores, s->exact);
    if (W > 0) /* query t sees rows t + 1 ... t + W */
        pf_exact_rows(s->q, T, (pf_matrix){PF_F32, W + T, D, s->K},
                      (pf_matrix){PF_F32, W + T, D, s->V}, 1, (ptrdiff_t)W + 1,
                      pf_model_score(c->model), s->scores, s->exact);
    if (tail) {
        pf_features_apply(&head->features.q[g], s->q_features, D, T, s->phi_q, s->tail.log_scale,
                          s->features);
        pf_favor_state_read(tail, s->phi_k, s->V, D, T, s->phi_q, s->rescale,
                            pf_head_folded(head, p), s->products, s->tail);
    }
    finish_rows(c, s, T, g, pf_head_denominator_floor(head), v, out);
}

/* At most T tokens, each of which pushes one out of the window; returns how many it took. */
static size_t append_steady(const pf_attention_config *c, pf_head *head, pf_head_scratch *s,
                            size_t p, size_t T, const float *q, const float *k, const float *v,
                            float *out) {
    size_t D = c->model->head_dim, W = head->window;
    gather_window(c, head, s, p, T, k, v);
    if (head->tails) T = take_leaving_keys(c, head, s, p, T);
    size_t n_tails = head->tails ? head->features.n_tails : 1;
    size_t per_tail = pf_attention_group(c) / n_tails;
    for (size_t i = 0; i < n_tails; i++) {
        pf_favor_state *tail = head->tails ? &head->tails[i] : NULL;
        if (n_tails > 1) pf_head_map_leaving_keys(c, head, s, i, T);
        if (tail) pf_favor_state_prepare(tail, s->phi_k, s->k_scale, T, s->rescale);
        for (size_t g = i * per_tail; g < (i + 1) * per_tail; g++)
            append_steady_query(c, head, s, tail, g, p, T, q, v, out);
        if (tail) pf_favor_state_fold(tail, s->phi_k, s->V, D, T);
    }
    if (W > 0) store_window(c, head, s->K + W * D, s->V + W * D, p, T);
    return T;
}

void pf_head_append_block(const pf_attention_config *c, pf_head *head, pf_head_scratch *s, size_t p,
                          size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t slots = head->sinks + head->window;
    size_t stride_q = pf_attention_stride_q(c), stride_kv = pf_attention_stride_kv(c);
    for (size_t n; T > 0; T -= n, p += n) {
        n = smaller(T, PF_QUERY_BLOCK);
        if (p < slots) {
            n = smaller(n, slots - p);
            pf_head_store(c, head, s, p, n, k, v);
            for (size_t g = 0; g < pf_attention_group(c); g++)
                pf_head_read(c, head, s, p, n, g, q, v, out);
        } else {
            n = append_steady(c, head, s, p, n, q, k, v, out);
        }
        q += n * stride_q;
        out += n * stride_q;
        k += n * stride_kv;
        v += n * stride_kv;
    }
}
