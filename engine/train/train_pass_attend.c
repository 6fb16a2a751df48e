/* floor 2.7 - train pass: attention of one KV head of one sequence, both directions. */
#include "train_pass_state.h"
#include "train_rows.h"

#include <string.h>
#include <tgmath.h>

/* ---- feature maps ---- */

static pf_train_map drawn_map(const pf_train_pass *p, size_t layer, size_t kv_head, size_t M) {
    return (pf_train_map){.kind = p->attention.options.map,
                          .D = p->D,
                          .M = M,
                          .root_scale = sqrt((pf_real)p->model->attention_scale),
                          .omega = p->omega + (layer * p->KV + kv_head) * p->m * p->D};
}

/* Of a query head or KV head, from the numbers that are learned. */
static pf_train_map fitted_map(const pf_train_pass *p, size_t layer, bool query, size_t head,
                               size_t M, size_t sequence) {
    size_t at = pf_train_fitted_at(&p->attention, layer, query, head), bias = (M + 1) * p->D;
    pf_train_map map = drawn_map(p, layer, 0, M);
    map.omega = p->w->fitted + at;
    map.bias = map.omega + bias;
    map.d_omega = p->d_fitted + sequence * p->n_fitted + at;
    map.d_bias = map.d_omega + bias;
    return map;
}

static void set_maps(const pf_train_pass *p, size_t layer, size_t sequence, size_t kv, size_t M,
                     int member, pf_favor_task *t) {
    pf_train_map *q_maps = p->q_maps + (size_t)member * p->G;
    if (p->n_fitted == 0 || M == 0) {
        t->map = drawn_map(p, layer, kv, M);
        return;
    }
    for (size_t g = 0; g < p->G; g++)
        q_maps[g] = fitted_map(p, layer, true, kv * p->G + g, M, sequence);
    t->map = fitted_map(p, layer, false, kv, M, sequence);
    t->q_map = q_maps;
}

/* ---- rows ---- */

/* Rows of a KV head and of its first query head, in an array [N, Q]. */
static pf_head_rows head_rows(const pf_train_pass *p, pf_real *qkv, size_t first, size_t kv) {
    pf_real *row = qkv + first * p->Q;
    return (pf_head_rows){.q = row + kv * p->G * p->D,
                          .k = row + p->HD + kv * p->D,
                          .v = row + p->HD + (p->KV + kv) * p->D,
                          .stride = p->Q};
}

/* Rows of the group's queries and the key, without RoPE, in `memory` [n, (G + 1) D]. */
static pf_head_rows plain_rows(const pf_train_pass *p, pf_real *memory) {
    size_t stride = (p->G + 1) * p->D;
    return (pf_head_rows){.q = memory, .k = memory + p->G * p->D, .stride = stride};
}

static void turn_rows(const pf_train_pass *p, pf_real *rows, size_t n, bool inverse) {
    size_t pairs = p->model->rope_dim / 2;
    for (size_t i = 0; i < n * (p->G + 1); i++)
        pf_rope_rotate(p->model->position, pairs, p->angles + i / (p->G + 1) * 2 * pairs,
                       rows + i * p->D, inverse);
}

/* t->mapped: queries and keys turned back, where that is what features read. */
static void map_plain(const pf_train_pass *p, pf_favor_task *t) {
    size_t n = t->n, stride = (p->G + 1) * p->D;
    pf_real *rows = t->scratch, *gradient = rows + n * stride;
    t->scratch = gradient + n * stride;
    t->mapped = plain_rows(p, rows);
    t->mapped_gradient = plain_rows(p, gradient);
    for (size_t i = 0; i < n; i++) {
        memcpy(t->mapped.q + i * stride, t->in.q + i * p->Q, p->G * p->D * sizeof *rows);
        memcpy(t->mapped.k + i * stride, t->in.k + i * p->Q, p->D * sizeof *rows);
    }
    turn_rows(p, rows, n, true);
    memset(gradient, 0, n * stride * sizeof *gradient);
}

/* The gradient of rows turned back is that of the rows, turned forth. */
static void back_plain(const pf_train_pass *p, const pf_favor_task *t) {
    size_t stride = t->mapped_gradient.stride;
    if (!t->mapped.k) return;
    turn_rows(p, t->mapped_gradient.q, t->n, false);
    for (size_t i = 0; i < t->n; i++) {
        pf_real_axpy(t->gradient.q + i * p->Q, 1, t->mapped_gradient.q + i * stride, p->G * p->D);
        pf_real_axpy(t->gradient.k + i * p->Q, 1, t->mapped_gradient.k + i * stride, p->D);
    }
}

/* ---- a task ---- */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static pf_favor_task task_of(const pf_train_pass *p, size_t layer, size_t task, int member) {
    const pf_kept_layer *l = &p->layers[layer];
    size_t n = p->now.tokens, sequence = task / p->KV, first = sequence * n, kv = task % p->KV;
    size_t at = first * p->HD + kv * p->G * p->D;
    pf_train_head head = pf_train_head_of(&p->attention, layer, kv);
    pf_favor_task t = {.n = n,
                       .G = p->G,
                       .sinks = smaller(head.sinks, n),
                       .window = smaller(p->teaching ? n : head.window, n),
                       .in = head_rows(p, l->qkv, first, kv),
                       .out = l->heads + at,
                       .d_out = p->d_heads + at,
                       .out_stride = p->HD,
                       .normalizer = l->normalizer + first * p->H + kv * p->G,
                       .heads = p->H,
                       .gradient = head_rows(p, p->d_qkv, first, kv),
                       .scratch = p->scratch[member]};
    uint32_t forget = p->attention.options.forget;
    if (forget > 1) t.decay = -log1p((pf_real)-1 / (pf_real)forget);
    if (t.window == n) return t;
    set_maps(p, layer, sequence, kv, head.M, member, &t);
    if (p->maps_plain && head.M > 0) map_plain(p, &t);
    return t;
}

size_t pf_train_attend_scratch(const pf_train_pass *p) {
    size_t most = pf_softmax_scratch(p->tokens);
    for (size_t i = 0; i < p->model->n_layers; i++)
        for (size_t k = 0; k < p->KV; k++) {
            pf_train_head head = pf_train_head_of(&p->attention, i, k);
            if (head.window >= p->tokens) continue;
            size_t n = pf_favor_scratch(p->tokens, p->D, head.M, head.sinks, head.window);
            if (n > most) most = n;
        }
    return most + (p->maps_plain ? 2 * p->tokens * (p->G + 1) * p->D : 0);
}

/* A window of the whole sequence is exact attention. */
static bool is_exact(const pf_favor_task *t) { return t->window == t->n; }

void pf_train_attend(const pf_train_pass *p, size_t layer, size_t task, int member) {
    pf_favor_task t = task_of(p, layer, task, member);
    if (!is_exact(&t)) {
        pf_favor_forward(&t);
        return;
    }
    for (size_t g = 0; g < p->G; g++, t.in.q += p->D)
        pf_softmax_forward(t.in, t.n, p->D, p->model->attention_scale, t.out + g * p->D, p->HD,
                           t.normalizer + g, p->H, t.scratch);
}

static void clear_gradient(const pf_train_pass *p, const pf_favor_task *t) {
    size_t bytes = p->D * sizeof(pf_real);
    for (size_t i = 0; i < t->n; i++) {
        memset(t->gradient.q + i * p->Q, 0, p->G * bytes);
        memset(t->gradient.k + i * p->Q, 0, bytes);
        memset(t->gradient.v + i * p->Q, 0, bytes);
    }
}

void pf_train_attend_back(const pf_train_pass *p, size_t layer, size_t task, int member) {
    pf_favor_task t = task_of(p, layer, task, member);
    clear_gradient(p, &t);
    if (!is_exact(&t)) {
        pf_favor_backward(&t);
        back_plain(p, &t);
        return;
    }
    for (size_t g = 0; g < p->G; g++, t.in.q += p->D, t.gradient.q += p->D)
        pf_softmax_backward(t.in, t.n, p->D, p->model->attention_scale, t.out + g * p->D,
                            t.d_out + g * p->D, p->HD, t.normalizer + g, p->H, t.gradient,
                            t.scratch);
}
