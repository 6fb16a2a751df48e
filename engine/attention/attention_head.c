/* floor 1.10 - one KV head at work: the three parts of a token's past, and the queries that read them. */
#include "attention_head.h"

#include "matmul.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static const float *angles_of(const pf_head_shape *shape, size_t position) {
    return shape->angles + position % shape->angle_rows * 2 * shape->pairs;
}

static void turn(const pf_head_shape *shape, size_t position, float *x, bool inverse) {
    pf_rope_turn(shape->position, shape->pairs, angles_of(shape, position), x, inverse);
}

static size_t slot_of(const pf_head_shape *shape, const pf_head *head, size_t position) {
    if (position < shape->sinks) return position;
    return shape->sinks + (position - shape->sinks) % head->window;
}

/* Queries of one head group or block: as they are, turned, turned for the sinks, and as the tail
 * reads them. */
static void place_query(const pf_head_shape *shape, pf_head_scratch *s, size_t row, const float *q,
                        size_t position) {
    size_t D = shape->D, bytes = D * sizeof(float);
    memcpy(s->q + row * D, q, bytes);
    turn(shape, position, s->q + row * D, false);
    memcpy(s->q_features + row * D, shape->tail_rope ? s->q + row * D : q, bytes);
    if (shape->sinks == 0) return;
    if (position < shape->context) {
        memcpy(s->q_sink + row * D, s->q + row * D, bytes);
    } else {
        memcpy(s->q_sink + row * D, q, bytes);
        pf_rope_turn(shape->position, shape->pairs, shape->sink_angles, s->q_sink + row * D, false);
    }
}

/* The two parts of a row -> out [D], the exact one in the scratch; `own` is the token's own value. */
static void finish_row(const pf_head_shape *shape, pf_head_scratch *s, size_t row, pf_partial tail,
                       float floor, const float *own, float *out) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = shape->D;
    float den = s->exact.den[row], tail_den = *tail.den;
    float scale = s->exact.scale[row], tail_scale = *tail.scale;
    memcpy(out, s->exact.out + row * D, D * sizeof *out);
    if (tail_scale > -INFINITY) {
        if (!(tail_den > floor) || !isfinite(tail_den)) {
            s->bad_denominators++;
        } else if (scale == -INFINITY) {
            memcpy(out, tail.out, D * sizeof *out);
            den = tail_den;
        } else {
            float top = scale > tail_scale ? scale : tail_scale;
            float exact_weight = expf(scale - top), tail_weight = expf(tail_scale - top);
            den = exact_weight * den + tail_weight * tail_den;
            kernels->scale(out, exact_weight, D);
            kernels->axpy(out, tail_weight, tail.out, D);
        }
    }
    if (den > 0)
        kernels->scale(out, 1 / den, D);
    else
        memcpy(out, own, D * sizeof *out);
}

static float denominator_floor(const pf_head *head) {
    const pf_features *features = &head->features.k[0];
    return pf_map_is_signed(features->map) ? 1e-6f * (float)features->M : FLT_MIN;
}

static void set_empty(pf_partial part, size_t rows, size_t D) {
    memset(part.out, 0, rows * D * sizeof *part.out);
    memset(part.den, 0, rows * sizeof *part.den);
    for (size_t t = 0; t < rows; t++) part.scale[t] = -INFINITY;
}

static pf_partial part_rows(pf_partial part, size_t first, size_t D) {
    return (pf_partial){part.out + first * D, part.den + first, part.scale + first};
}

static void remember(pf_history *history, const float *keys, const float *values, size_t ldv,
                     size_t n, size_t D) {
    if (!history->keys) return;
    for (size_t t = 0; t < n; t++) {
        memcpy(history->keys + history->count * D, keys + t * D, D * sizeof *keys);
        memcpy(history->values + history->count * D, values + t * ldv, D * sizeof *values);
        history->count++;
    }
}

/* How many keys are in the tail before token p comes. */
static size_t folded_before(const pf_head_shape *shape, const pf_head *head, size_t p) {
    size_t kept = shape->sinks + head->window;
    return p > kept ? p - kept : 0;
}

/* The tail's part for the G queries of the token at p, after the key in K_folded with value v. */
static void fold_and_read_token(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s,
                                size_t p, const float *v, pf_partial part) {
    size_t D = shape->D, M = head->tails[0].M, per_tail = shape->G / head->features.n_tails;
    for (size_t i = 0; i < head->features.n_tails; i++) {
        size_t first = i * per_tail;
        pf_features_apply(&head->features.k[i], s->K_folded, D, 1, s->phi_k, s->k_scale,
                          s->features);
        for (size_t g = first; g < first + per_tail; g++)
            pf_features_apply(&head->features.q[g], s->q_features + g * D, D, 1, s->phi_q + g * M,
                              part.scale + g, s->features);
        pf_favor_state_step(&head->tails[i], s->phi_k, s->k_scale[0], v, s->phi_q + first * M,
                            per_tail, folded_before(shape, head, p) + 1, part_rows(part, first, D));
    }
    remember(&head->history, s->K_folded, v, D, 1, D);
}

static void place_queries(const pf_head_shape *shape, pf_head_scratch *s, size_t p,
                          const float *q) {
    for (size_t g = 0; g < shape->G; g++) place_query(shape, s, g, q + g * shape->D, p);
}

size_t pf_head_slots_seen(const pf_head_shape *shape, const pf_head *head, size_t p) {
    return smaller(p + 1, shape->sinks + head->window);
}

void pf_head_token_begin(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                         const float *q, const float *k, const float *v, pf_partial tail) {
    size_t D = shape->D, kept = shape->sinks + head->window;
    memcpy(s->K, k, D * sizeof *k);
    turn(shape, p, s->K, false);
    bool folds = shape->has_tail && p >= kept;
    if (folds) {
        size_t leaving = p - head->window;
        if (head->window > 0) {
            pf_kv_cache_get(&head->kept, slot_of(shape, head, leaving), s->K_folded, s->V);
        } else {
            memcpy(s->K_folded, s->K, D * sizeof *k);
            memcpy(s->V, v, D * sizeof *v);
        }
        if (!shape->tail_rope) turn(shape, leaving, s->K_folded, true);
    }
    if (p < shape->sinks || head->window > 0)
        pf_kv_cache_put(&head->kept, slot_of(shape, head, p), s->K, v);
    if (folds) {
        place_queries(shape, s, p, q);
        fold_and_read_token(shape, head, s, p, s->V, tail);
    } else {
        set_empty(tail, shape->G, D);
    }
}

/* With the queries in their places. */
static void read_slots(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                       size_t begin, size_t end, pf_partial part) {
    if (begin == end) {
        set_empty(part, shape->G, shape->D);
        return;
    }
    size_t sinks = shape->sinks > begin ? shape->sinks - begin : 0;
    pf_exact_token(s->q, s->q_sink, shape->G, pf_kv_cache_keys(&head->kept, begin, end - begin),
                   pf_kv_cache_values(&head->kept, begin, end - begin), sinks, shape->scale,
                   s->scores, part);
}

void pf_head_token_read(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                        size_t p, size_t begin, size_t end, const float *q, pf_partial part) {
    place_queries(shape, s, p, q);
    read_slots(shape, head, s, begin, end, part);
}

/* Row g of n parts over different slots -> s->exact. */
static void add_parts(pf_head_scratch *s, pf_partial parts, size_t stride, size_t n, size_t g,
                      size_t D) {
    const pf_kernels *kernels = pf_kernels_get();
    float top = -INFINITY, *out = s->exact.out + g * D;
    for (size_t i = 0; i < n; i++)
        top = parts.scale[i * stride + g] > top ? parts.scale[i * stride + g] : top;
    set_empty(part_rows(s->exact, g, D), 1, D);
    s->exact.scale[g] = top;
    for (size_t i = 0; i < n; i++) {
        float weight = expf(parts.scale[i * stride + g] - top);
        kernels->axpy(out, weight, parts.out + i * stride + g * D, D);
        s->exact.den[g] += weight * parts.den[i * stride + g];
    }
}

void pf_head_token_end(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                       pf_partial parts, size_t stride, size_t n, pf_partial tail, const float *v,
                       float *out) {
    size_t D = shape->D;
    float floor = shape->has_tail ? denominator_floor(head) : 0;
    for (size_t g = 0; g < shape->G; g++) {
        add_parts(s, parts, stride, n, g, D);
        finish_row(shape, s, g, part_rows(tail, g, D), floor, v, out + g * D);
    }
}

static void append_token(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                         const float *q, const float *k, const float *v, float *out) {
    size_t D = shape->D;
    pf_head_token_begin(shape, head, s, p, q, k, v, s->tail);
    place_queries(shape, s, p, q);
    read_slots(shape, head, s, 0, pf_head_slots_seen(shape, head, p), s->exact);
    float floor = shape->has_tail ? denominator_floor(head) : 0;
    for (size_t g = 0; g < shape->G; g++)
        finish_row(shape, s, g, part_rows(s->tail, g, D), floor, v, out + g * D);
}

/* Stores T tokens at positions p ... in their slots; those that the rest push out again are skipped. */
static void store_tokens(const pf_head_shape *shape, pf_head *head, const float *K, const float *V,
                         size_t p, size_t T) {
    size_t D = shape->D;
    for (size_t t = 0; t < T; t++) {
        if (p + t >= shape->sinks && t + head->window < T) continue;
        pf_kv_cache_put(&head->kept, slot_of(shape, head, p + t), K + t * D, V + t * D);
    }
}

bool pf_head_fills(const pf_head_shape *shape, const pf_head *head, size_t p, size_t T) {
    return p + T <= shape->sinks + head->window;
}

/* Position j is slot j as long as nothing leaves. */
void pf_head_store(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                   size_t T, const float *k, const float *v) {
    for (size_t t = 0; t < T; t++) {
        memcpy(s->K, k + t * shape->stride_kv, shape->D * sizeof *k);
        turn(shape, p + t, s->K, false);
        pf_kv_cache_put(&head->kept, p + t, s->K, v + t * shape->stride_kv);
    }
}

void pf_head_read(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s, size_t p,
                  size_t T, size_t g, const float *q, const float *v, float *out) {
    size_t D = shape->D, S = smaller(shape->sinks, p + T), rest = p + T - S;
    ptrdiff_t all = -(ptrdiff_t)T, position = (ptrdiff_t)p;
    for (size_t t = 0; t < T; t++) place_query(shape, s, t, q + t * shape->stride_q + g * D, p + t);
    set_empty(s->exact, T, D);
    set_empty(s->tail, T, D);
    if (S > 0)
        pf_exact_rows(s->q_sink, T, pf_kv_cache_keys(&head->kept, 0, S),
                      pf_kv_cache_values(&head->kept, 0, S), all, position + 1, shape->scale,
                      s->scores, s->exact);
    pf_exact_rows(s->q, T, pf_kv_cache_keys(&head->kept, S, rest),
                  pf_kv_cache_values(&head->kept, S, rest), all, position + 1 - (ptrdiff_t)S,
                  shape->scale, s->scores, s->exact);
    for (size_t t = 0; t < T; t++)
        finish_row(shape, s, t, part_rows(s->tail, t, D), 0, v + t * shape->stride_kv,
                   out + t * shape->stride_q + g * D);
}

/* K, V: rows 0 ... W-1 the window before position p, rows W ... W+T-1 the new tokens, keys turned.
 * Row t is the token that leaves when token p + t comes. */
static void gather_window(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                          size_t p, size_t T, const float *k, const float *v) {
    size_t D = shape->D, W = head->window, bytes = D * sizeof(float);
    for (size_t i = 0; i < W; i++)
        pf_kv_cache_get(&head->kept, slot_of(shape, head, p + i - W), s->K + i * D, s->V + i * D);
    for (size_t t = 0; t < T; t++) {
        float *key = s->K + (W + t) * D, *value = s->V + (W + t) * D;
        memcpy(key, k + t * shape->stride_kv, bytes);
        memcpy(value, v + t * shape->stride_kv, bytes);
        turn(shape, p + t, key, false);
        if (W == 0) continue; /* kept nowhere, so rounded nowhere */
        pf_kv_cache_round(&head->kept, key);
        pf_kv_cache_round(&head->kept, value);
    }
}

/* The features of the T keys in K_folded, for one tail. */
static void map_leaving_keys(const pf_head *head, pf_head_scratch *s, size_t tail, size_t T,
                             size_t D) {
    pf_features_apply(&head->features.k[tail], s->K_folded, D, T, s->phi_k, s->k_scale,
                      s->features);
}

/* The keys of T tokens that leave the window, as the tail reads them, remembered if need be. Returns
 * how many of them one block can take: all, unless their log-scales rise too fast. */
static size_t fold_keys(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                        size_t T) {
    size_t D = shape->D;
    memcpy(s->K_folded, s->K, T * D * sizeof *s->K);
    if (!shape->tail_rope)
        for (size_t t = 0; t < T; t++) turn(shape, p + t - head->window, s->K_folded + t * D, true);
    for (size_t i = 0; i < head->features.n_tails; i++) {
        map_leaving_keys(head, s, i, T, D);
        T = pf_favor_state_fit(&head->tails[i], s->k_scale, T);
    }
    remember(&head->history, s->K_folded, s->V, D, T, D);
    return T;
}

/* One query head of a block where every token pushes one out. `tail` (NULL: none) has its keys'
 * features prepared in phi_k. */
static void append_steady_query(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                                const pf_favor_state *tail, size_t g, size_t p, size_t T,
                                const float *q, const float *v, float *out) {
    size_t D = shape->D, W = head->window, S = shape->sinks;
    for (size_t t = 0; t < T; t++) place_query(shape, s, t, q + t * shape->stride_q + g * D, p + t);
    set_empty(s->exact, T, D);
    set_empty(s->tail, T, D);
    if (S > 0)
        pf_exact_rows(s->q_sink, T, pf_kv_cache_keys(&head->kept, 0, S),
                      pf_kv_cache_values(&head->kept, 0, S), -(ptrdiff_t)T, (ptrdiff_t)S,
                      shape->scale, s->scores, s->exact);
    if (W > 0) /* query t sees rows t + 1 ... t + W */
        pf_exact_rows(s->q, T, (pf_matrix){PF_F32, W + T, D, s->K},
                      (pf_matrix){PF_F32, W + T, D, s->V}, 1, (ptrdiff_t)W + 1, shape->scale,
                      s->scores, s->exact);
    if (tail) {
        pf_features_apply(&head->features.q[g], s->q_features, D, T, s->phi_q, s->tail.scale,
                          s->features);
        pf_favor_state_read(tail, s->phi_k, s->V, D, T, s->phi_q, s->drop,
                            folded_before(shape, head, p), s->products, s->tail);
    }
    float floor = tail ? denominator_floor(head) : 0;
    for (size_t t = 0; t < T; t++)
        finish_row(shape, s, t, part_rows(s->tail, t, D), floor, v + t * shape->stride_kv,
                   out + t * shape->stride_q + g * D);
}

/* At most T tokens, each of which pushes one out of the window; returns how many it took. */
static size_t append_steady(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                            size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t D = shape->D, W = head->window;
    gather_window(shape, head, s, p, T, k, v);
    if (shape->has_tail) T = fold_keys(shape, head, s, p, T);
    size_t n_tails = shape->has_tail ? head->features.n_tails : 1, per_tail = shape->G / n_tails;
    for (size_t i = 0; i < n_tails; i++) {
        pf_favor_state *tail = shape->has_tail ? &head->tails[i] : NULL;
        if (n_tails > 1) map_leaving_keys(head, s, i, T, D);
        if (tail) pf_favor_state_prepare(tail, s->phi_k, s->k_scale, T, s->drop);
        for (size_t g = i * per_tail; g < (i + 1) * per_tail; g++)
            append_steady_query(shape, head, s, tail, g, p, T, q, v, out);
        if (tail) pf_favor_state_fold(tail, s->phi_k, s->V, D, T);
    }
    if (W > 0) store_tokens(shape, head, s->K + W * D, s->V + W * D, p, T);
    return T;
}

void pf_head_noncausal_stabilizer(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s,
                                  size_t p, size_t T, const float *k) {
    size_t D = shape->D;
    for (size_t done = 0, n; done < T; done += n) {
        n = smaller(T - done, PF_QUERY_BLOCK);
        for (size_t t = 0; t < n; t++) {
            float *key = s->K_folded + t * D;
            memcpy(key, k + (done + t) * shape->stride_kv, D * sizeof *key);
            if (shape->tail_rope) turn(shape, p + done + t, key, false);
        }
        for (size_t i = 0; i < head->features.n_tails; i++) {
            map_leaving_keys(head, s, i, n, D);
            pf_favor_state_raise(&head->tails[i], pf_kernels_get()->max(s->k_scale, n));
        }
    }
}

void pf_head_append(const pf_head_shape *shape, pf_head *head, pf_head_scratch *scratch, size_t p,
                    size_t T, const float *q, const float *k, const float *v, float *out) {
    if (T == 1) {
        append_token(shape, head, scratch, p, q, k, v, out);
        return;
    }
    size_t kept = shape->sinks + head->window;
    while (T > 0) {
        size_t n = smaller(T, PF_QUERY_BLOCK);
        if (p < kept) {
            n = smaller(n, kept - p);
            pf_head_store(shape, head, scratch, p, n, k, v);
            for (size_t g = 0; g < shape->G; g++)
                pf_head_read(shape, head, scratch, p, n, g, q, v, out);
        } else {
            n = append_steady(shape, head, scratch, p, n, q, k, v, out);
        }
        q += n * shape->stride_q;
        out += n * shape->stride_q;
        k += n * shape->stride_kv;
        v += n * shape->stride_kv;
        p += n;
        T -= n;
    }
}

void pf_head_rebuild(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s) {
    size_t D = shape->D, n = head->history.count;
    for (size_t i = 0; i < head->features.n_tails; i++) {
        pf_favor_state *tail = &head->tails[i];
        pf_favor_state_reset(tail);
        for (size_t first = 0; first < n;) {
            size_t size = smaller(n - first, PF_QUERY_BLOCK);
            pf_features_apply(&head->features.k[i], head->history.keys + first * D, D, size,
                              s->phi_k, s->k_scale, s->features);
            size = pf_favor_state_fit(tail, s->k_scale, size);
            pf_favor_state_prepare(tail, s->phi_k, s->k_scale, size, s->drop);
            pf_favor_state_fold(tail, s->phi_k, head->history.values + first * D, D, size);
            first += size;
        }
    }
}
