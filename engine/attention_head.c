/* floor 1.6 - one KV head at work: the three parts of a token's past, and the queries that read them. */
#include "attention_head.h"

#include "matmul.h"

#include <float.h>
#include <math.h>
#include <string.h>

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Lays the arrays of a scratch out one after the other; memory NULL only counts. */
static size_t lay_out(pf_head_scratch *s, float *memory, const pf_head_shape *shape,
                      size_t max_slots, size_t max_M) {
    size_t D = shape->D, block = PF_QUERY_BLOCK, rows = larger(block, shape->G);
    struct {
        float **array;
        size_t floats;
    } arrays[] = {
        {&s->q, rows * D},
        {&s->q_sink, rows * D},
        {&s->q_features, rows * D},
        {&s->K, (max_slots + block) * D},
        {&s->V, (max_slots + block) * D},
        {&s->K_folded, block * D},
        {&s->phi_q, rows * max_M},
        {&s->phi_k, block * max_M},
        {&s->k_scale, block},
        {&s->drop, block},
        {&s->products, larger(block * block, D)},
        {&s->scores, larger(pf_exact_scratch(block, D), shape->G * max_slots)},
        {&s->features, pf_features_scratch(D, max_M, rows)},
        {&s->exact.out, rows * D},
        {&s->exact.den, rows},
        {&s->exact.scale, rows},
        {&s->tail.out, rows * D},
        {&s->tail.den, rows},
        {&s->tail.scale, rows},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (memory) *arrays[i].array = memory + used;
        used += (arrays[i].floats + 15) / 16 * 16; /* whole cache lines */
    }
    return used;
}

size_t pf_head_scratch_floats(const pf_head_shape *shape, size_t max_slots, size_t max_M) {
    pf_head_scratch ignored = {0};
    return lay_out(&ignored, NULL, shape, max_slots, max_M);
}

pf_head_scratch pf_head_scratch_at(float *memory, const pf_head_shape *shape, size_t max_slots,
                                   size_t max_M) {
    pf_head_scratch scratch = {0};
    lay_out(&scratch, memory, shape, max_slots, max_M);
    return scratch;
}

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

/* The two parts of a row -> out [D]; `own` is the token's own value. */
static void finish_row(const pf_head_shape *shape, pf_head_scratch *s, size_t row, float floor,
                       const float *own, float *out) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t D = shape->D;
    float den = s->exact.den[row], tail_den = s->tail.den[row];
    float scale = s->exact.scale[row], tail_scale = s->tail.scale[row];
    memcpy(out, s->exact.out + row * D, D * sizeof *out);
    if (tail_scale > -INFINITY) {
        if (!(tail_den > floor) || !isfinite(tail_den)) {
            s->bad_denominators++;
        } else if (scale == -INFINITY) {
            memcpy(out, s->tail.out + row * D, D * sizeof *out);
            den = tail_den;
        } else {
            float top = scale > tail_scale ? scale : tail_scale;
            float exact_weight = expf(scale - top), tail_weight = expf(tail_scale - top);
            den = exact_weight * den + tail_weight * tail_den;
            kernels->scale(out, exact_weight, D);
            kernels->axpy(out, tail_weight, s->tail.out + row * D, D);
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

static void set_empty(pf_part part, size_t rows, size_t D) {
    memset(part.out, 0, rows * D * sizeof *part.out);
    memset(part.den, 0, rows * sizeof *part.den);
    for (size_t t = 0; t < rows; t++) part.scale[t] = -INFINITY;
}

static pf_part part_rows(pf_part part, size_t first, size_t D) {
    return (pf_part){part.out + first * D, part.den + first, part.scale + first};
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
                                size_t p, const float *v) {
    size_t D = shape->D, M = head->tails[0].M, per_tail = shape->G / head->features.n_tails;
    for (size_t i = 0; i < head->features.n_tails; i++) {
        size_t first = i * per_tail;
        pf_features_apply(&head->features.k[i], s->K_folded, D, 1, s->phi_k, s->k_scale,
                          s->features);
        for (size_t g = first; g < first + per_tail; g++)
            pf_features_apply(&head->features.q[g], s->q_features + g * D, D, 1, s->phi_q + g * M,
                              s->tail.scale + g, s->features);
        pf_tail_step(&head->tails[i], s->phi_k, s->k_scale[0], v, s->phi_q + first * M, per_tail,
                     folded_before(shape, head, p) + 1, part_rows(s->tail, first, D));
    }
    remember(&head->history, s->K_folded, v, D, 1, D);
}

static void append_token(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                         const float *q, const float *k, const float *v, float *out) {
    size_t D = shape->D, G = shape->G, kept = shape->sinks + head->window;
    size_t bytes = D * sizeof(float);
    for (size_t g = 0; g < G; g++) place_query(shape, s, g, q + g * D, p);
    memcpy(s->K, k, bytes);
    turn(shape, p, s->K, false);

    bool folds = shape->has_tail && p >= kept;
    if (folds) {
        size_t leaving = p - head->window;
        size_t slot = head->window > 0 ? slot_of(shape, head, leaving) : 0;
        memcpy(s->K_folded, head->window > 0 ? head->keys + slot * D : s->K, bytes);
        if (!shape->tail_rope) turn(shape, leaving, s->K_folded, true);
        memcpy(s->V, head->window > 0 ? head->values + slot * D : v, bytes);
    }
    if (p < shape->sinks || head->window > 0) {
        size_t slot = slot_of(shape, head, p);
        memcpy(head->keys + slot * D, s->K, bytes);
        memcpy(head->values + slot * D, v, bytes);
    }
    size_t n = smaller(p + 1, kept);
    if (n > 0)
        pf_exact_token(s->q, s->q_sink, G, head->keys, head->values, n, shape->sinks, D,
                       shape->scale, s->scores, s->exact);
    else
        set_empty(s->exact, G, D);
    if (folds)
        fold_and_read_token(shape, head, s, p, s->V);
    else
        set_empty(s->tail, G, D);
    float floor = shape->has_tail ? denominator_floor(head) : 0;
    for (size_t g = 0; g < G; g++) finish_row(shape, s, g, floor, v, out + g * D);
}

/* Stores T tokens at positions p ... in their slots; those that the rest push out again are skipped. */
static void store_tokens(const pf_head_shape *shape, pf_head *head, const float *K, const float *V,
                         size_t p, size_t T) {
    size_t D = shape->D, bytes = D * sizeof(float);
    for (size_t t = 0; t < T; t++) {
        if (p + t >= shape->sinks && t + head->window < T) continue;
        size_t slot = slot_of(shape, head, p + t);
        memcpy(head->keys + slot * D, K + t * D, bytes);
        memcpy(head->values + slot * D, V + t * D, bytes);
    }
}

/* T tokens that all fit into the slots: position j is slot j, and nothing leaves. */
static void append_filling(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                           size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t D = shape->D, S = smaller(shape->sinks, p + T), n = p + T;
    for (size_t t = 0; t < T; t++) {
        memcpy(head->keys + (p + t) * D, k + t * shape->stride_kv, D * sizeof *k);
        memcpy(head->values + (p + t) * D, v + t * shape->stride_kv, D * sizeof *v);
        turn(shape, p + t, head->keys + (p + t) * D, false);
    }
    ptrdiff_t all = -(ptrdiff_t)T, position = (ptrdiff_t)p;
    for (size_t g = 0; g < shape->G; g++) {
        for (size_t t = 0; t < T; t++)
            place_query(shape, s, t, q + t * shape->stride_q + g * D, p + t);
        set_empty(s->exact, T, D);
        set_empty(s->tail, T, D);
        if (S > 0)
            pf_exact_rows(s->q_sink, T, head->keys, head->values, S, all, position + 1, D,
                          shape->scale, s->scores, s->exact);
        pf_exact_rows(s->q, T, head->keys + S * D, head->values + S * D, n - S, all,
                      position + 1 - (ptrdiff_t)S, D, shape->scale, s->scores, s->exact);
        for (size_t t = 0; t < T; t++)
            finish_row(shape, s, t, 0, v + t * shape->stride_kv, out + t * shape->stride_q + g * D);
    }
}

/* K, V: rows 0 ... W-1 the window before position p, rows W ... W+T-1 the new tokens, keys turned.
 * Row t is the token that leaves when token p + t comes. */
static void gather_window(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                          size_t p, size_t T, const float *k, const float *v) {
    size_t D = shape->D, W = head->window, bytes = D * sizeof(float);
    for (size_t i = 0; i < W; i++) {
        size_t slot = slot_of(shape, head, p + i - W);
        memcpy(s->K + i * D, head->keys + slot * D, bytes);
        memcpy(s->V + i * D, head->values + slot * D, bytes);
    }
    for (size_t t = 0; t < T; t++) {
        memcpy(s->K + (W + t) * D, k + t * shape->stride_kv, bytes);
        memcpy(s->V + (W + t) * D, v + t * shape->stride_kv, bytes);
        turn(shape, p + t, s->K + (W + t) * D, false);
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
        T = pf_tail_fit(&head->tails[i], s->k_scale, T);
    }
    remember(&head->history, s->K_folded, s->V, D, T, D);
    return T;
}

/* One query head of a block where every token pushes one out. `tail` (NULL: none) has its keys'
 * features prepared in phi_k. */
static void append_steady_query(const pf_head_shape *shape, const pf_head *head, pf_head_scratch *s,
                                const pf_tail *tail, size_t g, size_t p, size_t T, const float *q,
                                const float *v, float *out) {
    size_t D = shape->D, W = head->window, S = shape->sinks;
    for (size_t t = 0; t < T; t++) place_query(shape, s, t, q + t * shape->stride_q + g * D, p + t);
    set_empty(s->exact, T, D);
    set_empty(s->tail, T, D);
    if (S > 0)
        pf_exact_rows(s->q_sink, T, head->keys, head->values, S, -(ptrdiff_t)T, (ptrdiff_t)S, D,
                      shape->scale, s->scores, s->exact);
    if (W > 0) /* query t sees rows t + 1 ... t + W */
        pf_exact_rows(s->q, T, s->K, s->V, W + T, 1, (ptrdiff_t)W + 1, D, shape->scale, s->scores,
                      s->exact);
    if (tail) {
        pf_features_apply(&head->features.q[g], s->q_features, D, T, s->phi_q, s->tail.scale,
                          s->features);
        pf_tail_read(tail, s->phi_k, s->V, D, T, s->phi_q, s->drop, folded_before(shape, head, p),
                     s->products, s->tail);
    }
    float floor = tail ? denominator_floor(head) : 0;
    for (size_t t = 0; t < T; t++)
        finish_row(shape, s, t, floor, v + t * shape->stride_kv, out + t * shape->stride_q + g * D);
}

/* At most T tokens, each of which pushes one out of the window; returns how many it took. */
static size_t append_steady(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                            size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t D = shape->D, W = head->window;
    gather_window(shape, head, s, p, T, k, v);
    if (shape->has_tail) T = fold_keys(shape, head, s, p, T);
    size_t n_tails = shape->has_tail ? head->features.n_tails : 1, per_tail = shape->G / n_tails;
    for (size_t i = 0; i < n_tails; i++) {
        pf_tail *tail = shape->has_tail ? &head->tails[i] : NULL;
        if (n_tails > 1) map_leaving_keys(head, s, i, T, D);
        if (tail) pf_tail_prepare(tail, s->phi_k, s->k_scale, T, s->drop);
        for (size_t g = i * per_tail; g < (i + 1) * per_tail; g++)
            append_steady_query(shape, head, s, tail, g, p, T, q, v, out);
        if (tail) pf_tail_fold(tail, s->phi_k, s->V, D, T);
    }
    if (W > 0) store_tokens(shape, head, s->K + W * D, s->V + W * D, p, T);
    return T;
}

void pf_head_look_ahead(const pf_head_shape *shape, pf_head *head, pf_head_scratch *s, size_t p,
                        size_t T, const float *k) {
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
            pf_tail_raise(&head->tails[i], pf_kernels_get()->max(s->k_scale, n));
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
            append_filling(shape, head, scratch, p, n, q, k, v, out);
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
        pf_tail *tail = &head->tails[i];
        pf_tail_reset(tail);
        for (size_t first = 0; first < n;) {
            size_t size = smaller(n - first, PF_QUERY_BLOCK);
            pf_features_apply(&head->features.k[i], head->history.keys + first * D, D, size,
                              s->phi_k, s->k_scale, s->features);
            size = pf_tail_fit(tail, s->k_scale, size);
            pf_tail_prepare(tail, s->phi_k, s->k_scale, size, s->drop);
            pf_tail_fold(tail, s->phi_k, head->history.values + first * D, D, size);
            first += size;
        }
    }
}
