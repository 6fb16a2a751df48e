/* floor 1.13 - shared attention: a team works on a layer whose heads do not divide evenly among
 * it. */
#include "attention_share.h"

#include "carve.h"

/* Two barriers cost about as much as reading this many numbers of keys and values. */
enum { WORTH_BARRIERS = 100000 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t n_heads(const pf_shared_layer *l) { return l->config->model->n_kv_heads; }

/* [G] rows, in whole cache lines so that threads do not share them. */
static size_t part_floats(const pf_attention_config *c) {
    return pf_cache_line_floats(pf_attention_group(c) * (c->model->head_dim + 2));
}

size_t pf_shared_parts_floats(const pf_attention_config *c, size_t n_members) {
    return c->model->n_kv_heads * (n_members + 1) * part_floats(c);
}

/* What member i of a team reads of head h; i = count: what is read of its tail. */
static pf_partial part_at(const pf_shared_layer *l, pf_member me, size_t h, size_t i) {
    size_t G = pf_attention_group(l->config), D = l->config->model->head_dim;
    float *out = l->parts + (h * ((size_t)me.count + 1) + i) * part_floats(l->config);
    return (pf_partial){out, out + G * D, out + G * D + G};
}

static size_t slots_used(const pf_shared_layer *l, size_t h, size_t p) {
    return pf_head_slots_used(&l->heads[h], p + 1);
}

static size_t all_slots(const pf_shared_layer *l, size_t p) {
    size_t sum = 0;
    for (size_t h = 0; h < n_heads(l); h++) sum += slots_used(l, h, p);
    return sum;
}

bool pf_shared_pays(const pf_shared_layer *l, pf_member me, size_t p, size_t T) {
    if (me.count == 1 || n_heads(l) % (size_t)me.count == 0) return false;
    if (T == 1) return 2 * l->config->model->head_dim * all_slots(l, p) >= WORTH_BARRIERS;
    for (size_t h = 0; h < n_heads(l); h++)
        if (!pf_head_shares(&l->heads[h], p, T)) return false;
    return true;
}

/* ---- one token ---- */

/* Where in the slots of all heads, laid end to end, the share of member i begins. */
static size_t share_begin(size_t slots, int i, int count) {
    return slots * (size_t)i / (size_t)count;
}

/* The share of member i in a head whose slots are [first, first + n) of all. */
static void cut(size_t slots, size_t first, size_t n, int i, int count, size_t *begin,
                size_t *end) {
    size_t from = share_begin(slots, i, count), to = share_begin(slots, i + 1, count);
    *begin = from < first ? 0 : smaller(from - first, n);
    *end = to < first ? 0 : smaller(to - first, n);
}

static void read_share(const pf_shared_layer *l, pf_member me, size_t p, const float *q) {
    size_t GD = pf_attention_group(l->config) * l->config->model->head_dim;
    size_t slots = all_slots(l, p), first = 0, begin, end;
    for (size_t h = 0; h < n_heads(l); h++) {
        size_t n = slots_used(l, h, p);
        cut(slots, first, n, me.index, me.count, &begin, &end);
        first += n;
        if (begin == end) continue;
        pf_head_place_queries(l->config, l->scratch, p, q + h * GD);
        pf_head_token_read(l->config, &l->heads[h], l->scratch, begin, end,
                           part_at(l, me, h, (size_t)me.index));
    }
}

/* Adds up what the members have read of head h -> scratch->exact. */
static void add_parts(const pf_shared_layer *l, pf_member me, size_t p, size_t h) {
    size_t G = pf_attention_group(l->config), D = l->config->model->head_dim;
    size_t slots = all_slots(l, p), first = 0, begin, end;
    for (size_t i = 0; i < h; i++) first += slots_used(l, i, p);
    pf_partial_clear(l->scratch->exact, G, D);
    for (int i = 0; i < me.count; i++) {
        cut(slots, first, slots_used(l, h, p), i, me.count, &begin, &end);
        if (begin == end) continue;
        pf_partial part = part_at(l, me, h, (size_t)i);
        for (size_t g = 0; g < G; g++)
            pf_partial_add(pf_partial_row(l->scratch->exact, g, D), pf_partial_row(part, g, D), D);
    }
}

static void append_token(const pf_shared_layer *l, pf_member me, size_t p, const float *q,
                         const float *k, const float *v, float *out) {
    const pf_attention_config *c = l->config;
    size_t D = c->model->head_dim, GD = pf_attention_group(c) * D, begin, end;
    size_t of_tail = (size_t)me.count;
    pf_share(me, n_heads(l), 1, &begin, &end);
    for (size_t h = begin; h < end; h++) {
        pf_head_place_queries(c, l->scratch, p, q + h * GD);
        pf_head_token_begin(c, &l->heads[h], l->scratch, p, k + h * D, v + h * D,
                            part_at(l, me, h, of_tail));
    }
    pf_barrier(me);
    read_share(l, me, p, q);
    pf_barrier(me);
    for (size_t h = begin; h < end; h++) {
        add_parts(l, me, p, h);
        pf_head_token_end(c, &l->heads[h], l->scratch, part_at(l, me, h, of_tail), v + h * D,
                          out + h * GD);
    }
}

/* ---- many tokens ---- */

/* T tokens from position p on, as in pf_shared_append. */
typedef struct prompt {
    size_t p, T;
    const float *q, *k, *v;
    float *out;
} prompt;

/* Tokens first ... first + n - 1 for one query head. */
typedef struct block {
    size_t head, first, n, g;
} block;

/* In the order of heads, tokens and query heads; n = 0 asks for the first. False after the last. */
static bool next_block(const pf_shared_layer *l, const prompt *x, block *b) {
    if (b->n > 0 && ++b->g == pf_attention_group(l->config)) {
        b->g = 0;
        b->first += b->n;
        if (b->first == x->T) b->first = 0, b->head++;
    }
    if (b->head == n_heads(l)) return false;
    b->n = pf_head_block(&l->heads[b->head], x->p + b->first, x->T - b->first);
    return true;
}

/* How many scores it computes, about: what it costs. */
static size_t cost_of(const pf_shared_layer *l, const prompt *x, block b) {
    const pf_head *head = &l->heads[b.head];
    return b.n * (smaller(x->p + b.first, head->sinks + head->window) + b.n);
}

/* This member's share of the tokens [from, end), for head h. */
static void store_share(const pf_shared_layer *l, pf_member me, const prompt *x, size_t h,
                        size_t from, size_t end) {
    const pf_attention_config *c = l->config;
    size_t begin, share_end;
    pf_share(me, end - from, 1, &begin, &share_end);
    size_t first = from + begin;
    size_t skipped = first * pf_attention_stride_kv(c) + h * c->model->head_dim;
    pf_head_store(c, &l->heads[h], l->scratch, x->p + first, share_end - begin, x->k + skipped,
                  x->v + skipped);
}

static void gather(const pf_shared_layer *l, const prompt *x, block b) {
    const pf_attention_config *c = l->config;
    const pf_head *head = &l->heads[b.head];
    size_t room = pf_head_room(head, x->p, x->T);
    size_t skipped = room * pf_attention_stride_kv(c) + b.head * c->model->head_dim;
    pf_head_gather(c, head, l->scratch, x->p + room, x->p + b.first, b.n, x->k + skipped,
                   x->v + skipped);
}

static void read_block(const pf_shared_layer *l, const prompt *x, block b) {
    const pf_attention_config *c = l->config;
    size_t D = c->model->head_dim;
    size_t at = b.first * pf_attention_stride_q(c) + b.head * pf_attention_group(c) * D;
    pf_head_read(c, &l->heads[b.head], l->scratch, x->p + b.first, b.n, b.g, x->q + at,
                 x->v + b.first * pf_attention_stride_kv(c) + b.head * D, x->out + at);
}

/* The blocks whose middle lies in this member's part of the whole cost. */
static void read_blocks(const pf_shared_layer *l, pf_member me, const prompt *x) {
    size_t all = 0, done = 0;
    block gathered = {0};
    for (block b = {0}; next_block(l, x, &b);) all += cost_of(l, x, b);
    for (block b = {0}; next_block(l, x, &b);) {
        size_t cost = cost_of(l, x, b), middle = done + cost / 2;
        done += cost;
        if (middle * (size_t)me.count / all != (size_t)me.index) continue;
        bool fresh = gathered.n == 0 || b.head != gathered.head || b.first != gathered.first;
        if (fresh && pf_head_room(&l->heads[b.head], x->p + b.first, b.n) == 0) {
            gather(l, x, b);
            gathered = b;
        }
        read_block(l, x, b);
    }
}

static void append_many(const pf_shared_layer *l, pf_member me, const prompt *x) {
    bool fits = true;
    for (size_t h = 0; h < n_heads(l); h++) {
        size_t room = pf_head_room(&l->heads[h], x->p, x->T);
        store_share(l, me, x, h, 0, room);
        fits = fits && room == x->T;
    }
    pf_barrier(me);
    read_blocks(l, me, x);
    if (fits) return;
    pf_barrier(me); /* now that all have read, the others take the slots of old tokens */
    for (size_t h = 0; h < n_heads(l); h++) {
        size_t W = l->heads[h].window, room = pf_head_room(&l->heads[h], x->p, x->T);
        size_t last = x->T > W ? x->T - W : 0;
        store_share(l, me, x, h, last > room ? last : room, x->T);
    }
}

void pf_shared_append(const pf_shared_layer *l, pf_member me, size_t p, size_t T, const float *q,
                      const float *k, const float *v, float *out) {
    if (T == 1)
        append_token(l, me, p, q, k, v, out);
    else
        append_many(l, me, &(prompt){p, T, q, k, v, out});
}
