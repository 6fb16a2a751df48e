/* floor 6.1 - attention testing: one layer of attention over random rows, and its variants. */
#ifndef PF_ATTENTION_TESTING_H
#define PF_ATTENTION_TESTING_H

#include "testing.h"

#include "attention.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { T_MAX = 300 };

/* One layer over random (or given) q, k, v. */
typedef struct problem {
    pf_model model;
    pf_layer layer;
    pf_attention_config config; /* without its model and options */
    pf_attention_options options;
    size_t T, chunk;
    int threads;
    float *q, *k, *v, *out; /* [T, H, D], [T, n_kv_heads, D] x 2, [T, H, D] */
} problem;

static inline problem make_problem(size_t T, uint32_t H, uint32_t kv, uint32_t D, float size) {
    problem p = {.T = T, .chunk = 1, .threads = 1, .options = pf_attention_options_default()};
    p.options.kind = PF_ATTENTION_FAVOR;
    p.options.features = 32;
    p.model = (pf_model){.n_layers = 1,
                         .n_heads = H,
                         .n_kv_heads = kv,
                         .head_dim = D,
                         .attention_scale = (float)(1 / sqrt(D)),
                         .position = PF_POSITION_ROPE_ADJACENT,
                         .rope_dim = D,
                         .rope_base = 10000};
    p.config = (pf_attention_config){.sink_context = 4096, .tail_rope = true, .pairs = D / 2};
    size_t q = T * H * D, k = T * kv * D;
    p.q = malloc((2 * q + 2 * k) * sizeof *p.q);
    p.k = p.q + q;
    p.v = p.k + k;
    p.out = p.v + k;
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    for (size_t i = 0; i < q + 2 * k; i++) p.q[i] = size * (float)pf_rng_normal(&rng);
    return p;
}

static inline void free_problem(problem *p) { free(p->q); }

/* The config of a problem, which must stay where it is. */
static inline pf_attention_config config_of(problem *p) {
    pf_attention_config config = p->config;
    p->model.layers = &p->layer;
    config.model = &p->model;
    config.options = p->options;
    config.context = p->T;
    if (!pf_position_rotates(p->model.position)) config.pairs = 0;
    return config;
}

typedef struct step {
    problem *p;
    pf_attention *attention;
    size_t position, n;
    float *out;
} step;

static inline void work(void *context, pf_member me) {
    step *s = context;
    const problem *p = s->p;
    size_t q = (size_t)p->model.n_heads * p->model.head_dim;
    size_t k = (size_t)p->model.n_kv_heads * p->model.head_dim;
    pf_attention_append(s->attention, me, 0, s->position, s->n, p->q + s->position * q,
                        p->k + s->position * k, p->v + s->position * k, s->out + s->position * q);
}

static inline pf_attention *solve_keeping(problem *p, float *out) {
    pf_error error = {""};
    pf_attention_config config = config_of(p);
    pf_attention *a = pf_attention_new(&config, p->chunk, p->threads, &error);
    if (!a) print_message("%s\n", error.message);
    assert_non_null(a);
    for (size_t t = 0; t < p->T; t += p->chunk) {
        step s = {p, a, t, p->T - t < p->chunk ? p->T - t : p->chunk, out};
        assert_true(pf_attention_begin(a, t, s.n, &error));
        pf_parallel(p->threads, work, &s);
    }
    return a;
}

static inline void solve(problem *p, float *out) { pf_attention_free(solve_keeping(p, out)); }

static inline size_t out_size(const problem *p) {
    return p->T * p->model.n_heads * p->model.head_dim;
}

static inline float largest_difference(const float *a, const float *b, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float d = fabsf(a[i] - b[i]);
        if (!(d <= largest)) largest = d;
    }
    return largest;
}

typedef struct variant {
    pf_attention_kind kind;
    pf_map_kind map;
    uint32_t window, sinks;
    float epsilon;
    uint32_t redraw;
    bool tail_rope;
    uint32_t forget;
} variant;

static inline void apply_variant(problem *p, const variant *v) {
    p->options.kind = v->kind;
    p->options.map = v->map;
    p->options.window = v->window;
    p->options.sinks = v->sinks;
    p->options.epsilon = v->epsilon;
    p->options.redraw = v->redraw;
    p->options.forget = v->forget;
    p->config.tail_rope = v->tail_rope;
}

/* Three KV heads and a text long enough that a team cuts the slots of a token, and the queries of a
 * prompt, across heads. */
static inline void check_sharing(problem *p, int threads, const float *want, float *again) {
    const size_t chunks[] = {1, 100, T_MAX};
    p->threads = threads;
    for (size_t c = 0; c < 3; c++) {
        p->chunk = chunks[c];
        solve(p, p->out);
        float most = p->chunk == 1 ? 1e-5f : 2e-4f;
        float difference = largest_difference(p->out, want, out_size(p));
        if (difference > most)
            print_message("kind %d, kv %s, %d threads, chunk %zu: %g\n", p->options.kind,
                          pf_kv_name(p->options.kv), p->threads, p->chunk, (double)difference);
        assert_true(difference <= most);
        if (p->chunk == 1 && threads > 2) continue; /* they wait long where cores are few */
        solve(p, again);
        assert_memory_equal(p->out, again, out_size(p) * sizeof *again);
    }
}

static inline void solve_alone(problem *p, pf_kv_kind kv, float *out) {
    p->options.kv = kv;
    p->chunk = 1, p->threads = 1;
    solve(p, out);
}

#endif
