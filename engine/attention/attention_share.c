/* floor 1.11 - shared attention: how a team works through a layer whose heads do not share out evenly. */
#include "attention_share.h"

/* Two meetings of the team cost about as much as reading so many numbers of keys and values. */
enum { WORTH_MEETING = 100000 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static pf_head_shape shape_of(const pf_shared_layer *l, size_t h) {
    pf_head_shape shape = *l->shape;
    shape.has_tail = l->heads[h].tails != NULL;
    return shape;
}

static size_t part_floats(const pf_head_shape *shape) {
    return (shape->G * (shape->D + 2) + 15) / 16 * 16; /* whole cache lines: no false sharing */
}

size_t pf_shared_parts_floats(const pf_head_shape *shape, size_t n_heads, size_t n_members) {
    return n_heads * (n_members + 1) * part_floats(shape);
}

/* What member i of a team reads of head h; i = count: what the tail gives. */
static pf_partial part_at(const pf_shared_layer *l, pf_member me, size_t h, size_t i) {
    size_t G = l->shape->G, D = l->shape->D;
    float *out = l->parts + (h * ((size_t)me.count + 1) + i) * part_floats(l->shape);
    return (pf_partial){out, out + G * D, out + G * D + G};
}

static size_t all_slots(const pf_shared_layer *l, size_t p) {
    size_t sum = 0;
    for (size_t h = 0; h < l->n_heads; h++) sum += pf_head_slots_seen(l->shape, &l->heads[h], p);
    return sum;
}

bool pf_shared_pays(const pf_shared_layer *l, pf_member me, size_t p, size_t T) {
    if (me.count == 1 || l->n_heads % (size_t)me.count == 0) return false;
    if (T == 1) return 2 * l->shape->D * all_slots(l, p) >= WORTH_MEETING;
    for (size_t h = 0; h < l->n_heads; h++)
        if (!pf_head_fills(l->shape, &l->heads[h], p, T)) return false;
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
    size_t slots = all_slots(l, p), first = 0, begin, end;
    for (size_t h = 0; h < l->n_heads; h++) {
        pf_head_shape shape = shape_of(l, h);
        size_t n = pf_head_slots_seen(&shape, &l->heads[h], p);
        cut(slots, first, n, me.index, me.count, &begin, &end);
        if (begin < end)
            pf_head_token_read(&shape, &l->heads[h], l->scratch, p, begin, end,
                               q + h * shape.G * shape.D, part_at(l, me, h, (size_t)me.index));
        first += n;
    }
}

/* Those who have read of a head have neighbouring numbers, and so neighbouring parts. */
static void end_token(const pf_shared_layer *l, pf_member me, size_t p, size_t h, const float *v,
                      float *out) {
    pf_head_shape shape = shape_of(l, h);
    size_t slots = all_slots(l, p), before = 0, first = 0, n_parts = 0, begin, end;
    for (size_t i = 0; i < h; i++) before += pf_head_slots_seen(&shape, &l->heads[i], p);
    size_t n = pf_head_slots_seen(&shape, &l->heads[h], p);
    for (int i = 0; i < me.count; i++) {
        cut(slots, before, n, i, me.count, &begin, &end);
        if (begin == end) continue;
        if (n_parts++ == 0) first = (size_t)i;
    }
    pf_head_token_end(&shape, &l->heads[h], l->scratch, part_at(l, me, h, first),
                      part_floats(&shape), n_parts, part_at(l, me, h, (size_t)me.count), v, out);
}

static void append_token(const pf_shared_layer *l, pf_member me, size_t p, const float *q,
                         const float *k, const float *v, float *out) {
    size_t D = l->shape->D, GD = l->shape->G * D, begin, end;
    pf_share(me, l->n_heads, 1, &begin, &end);
    for (size_t h = begin; h < end; h++) {
        pf_head_shape shape = shape_of(l, h);
        pf_head_token_begin(&shape, &l->heads[h], l->scratch, p, q + h * GD, k + h * D, v + h * D,
                            part_at(l, me, h, (size_t)me.count));
    }
    pf_barrier(me);
    read_share(l, me, p, q);
    pf_barrier(me);
    for (size_t h = begin; h < end; h++) end_token(l, me, p, h, v + h * D, out + h * GD);
}

/* ---- many tokens ---- */

/* Tokens first ... first + n - 1 for one query head. */
typedef struct block {
    size_t head, g, first, n;
} block;

/* How many keys its queries meet, as if there were PF_QUERY_BLOCK of them: what it costs. */
static size_t keys_met(size_t p, block b) { return p + b.first + b.n; }

static bool next_block(const pf_shared_layer *l, size_t T, block *b) {
    b->first += b->n;
    if (b->first == T) {
        b->first = 0;
        if (++b->g == l->shape->G) b->g = 0, b->head++;
    }
    b->n = smaller(T - b->first, PF_QUERY_BLOCK);
    return b->head < l->n_heads;
}

static void append_many(const pf_shared_layer *l, pf_member me, size_t p, size_t T, const float *q,
                        const float *k, const float *v, float *out) {
    const pf_head_shape *s = l->shape;
    size_t D = s->D, begin, end, all = 0, done = 0;
    pf_share(me, T, 1, &begin, &end);
    for (size_t h = 0; h < l->n_heads; h++) {
        size_t skipped = begin * s->stride_kv + h * D;
        pf_head_store(s, &l->heads[h], l->scratch, p + begin, end - begin, k + skipped,
                      v + skipped);
    }
    pf_barrier(me);
    for (block b = {0}; next_block(l, T, &b);) all += keys_met(p, b);
    for (block b = {0}; next_block(l, T, &b);) {
        size_t cost = keys_met(p, b), middle = done + cost / 2;
        done += cost;
        if (middle * (size_t)me.count / all != (size_t)me.index) continue;
        pf_head_shape shape = shape_of(l, b.head);
        size_t to = b.first * s->stride_q + b.head * s->G * D;
        pf_head_read(&shape, &l->heads[b.head], l->scratch, p + b.first, b.n, b.g, q + to,
                     v + b.first * s->stride_kv + b.head * D, out + to);
    }
}

void pf_shared_append(const pf_shared_layer *l, pf_member me, size_t p, size_t T, const float *q,
                      const float *k, const float *v, float *out) {
    if (T == 1)
        append_token(l, me, p, q, k, v, out);
    else
        append_many(l, me, p, T, q, k, v, out);
}
