/* floor 2.7 - train pass: attention of one KV head of one sequence, both directions. */
#include "train_favor.h"
#include "train_pass_state.h"

#include <math.h>
#include <string.h>

static pf_train_map map_of(const pf_train_pass *p, size_t layer, size_t kv_head) {
    return (pf_train_map){.kind = p->attention.map,
                          .D = p->D,
                          .M = p->M,
                          .root_scale = sqrtf(p->model->attention_scale),
                          .omega = p->omega + (layer * p->KV + kv_head) * p->m * p->D};
}

/* Rows of a KV head and of its first query head, in an array [N, Q]. */
static pf_head_rows head_rows(const pf_train_pass *p, pf_real *qkv, size_t first, size_t kv) {
    pf_real *row = qkv + first * p->Q;
    return (pf_head_rows){.q = row + kv * p->G * p->D,
                          .k = row + p->HD + kv * p->D,
                          .v = row + p->HD + (p->KV + kv) * p->D,
                          .stride = p->Q};
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static pf_favor_task favor_task(const pf_train_pass *p, size_t layer, size_t task,
                                pf_real *scratch) {
    const pf_kept_layer *l = &p->layers[layer];
    size_t n = p->now.tokens, first = task / p->KV * n, kv = task % p->KV;
    size_t at = first * p->HD + kv * p->G * p->D;
    return (pf_favor_task){.map = map_of(p, layer, kv),
                           .n = n,
                           .G = p->G,
                           .sinks = smaller(p->attention.sinks, n),
                           .window = smaller(p->attention.window, n),
                           .in = head_rows(p, l->qkv, first, kv),
                           .out = l->heads + at,
                           .d_out = p->d_heads + at,
                           .out_stride = p->HD,
                           .normalizer = l->normalizer + first * p->H + kv * p->G,
                           .heads = p->H,
                           .gradient = head_rows(p, p->d_qkv, first, kv),
                           .scratch = scratch};
}

void pf_train_attend(const pf_train_pass *p, size_t layer, size_t task, pf_real *scratch) {
    pf_favor_task t = favor_task(p, layer, task, scratch);
    if (p->M > 0) {
        pf_favor_forward(&t);
        return;
    }
    for (size_t g = 0; g < p->G; g++, t.in.q += p->D)
        pf_softmax_forward(t.in, t.n, p->D, p->model->attention_scale, t.out + g * p->D, p->HD,
                           t.normalizer + g, p->H, scratch);
}

static void clear_gradient(const pf_train_pass *p, const pf_favor_task *t) {
    size_t bytes = p->D * sizeof(pf_real);
    for (size_t i = 0; i < t->n; i++) {
        memset(t->gradient.q + i * p->Q, 0, p->G * bytes);
        memset(t->gradient.k + i * p->Q, 0, bytes);
        memset(t->gradient.v + i * p->Q, 0, bytes);
    }
}

void pf_train_attend_back(const pf_train_pass *p, size_t layer, size_t task, pf_real *scratch) {
    pf_favor_task t = favor_task(p, layer, task, scratch);
    clear_gradient(p, &t);
    if (p->M > 0) {
        pf_favor_backward(&t);
        return;
    }
    for (size_t g = 0; g < p->G; g++, t.in.q += p->D, t.gradient.q += p->D)
        pf_softmax_backward(t.in, t.n, p->D, p->model->attention_scale, t.out + g * p->D,
                            t.d_out + g * p->D, p->HD, t.normalizer + g, p->H, t.gradient, scratch);
}
