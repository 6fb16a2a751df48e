/* floor 1.17 - attention, saved: copies of the state of a text, and its bytes for snapshots. */
#include "attention.h"

#include "attention_upkeep.h"

static size_t tail_floats(const pf_favor_state *tail) {
    return pf_favor_state_floats(tail->M, tail->D, tail->epsilon);
}

static void copy_cache(const pf_kv_cache *to, const pf_kv_cache *from, size_t slots) {
    void *keys, *values, *from_keys, *from_values;
    size_t row = pf_kv_cache_row_bytes(from);
    for (size_t slot = 0, n; slot < slots; slot += n) {
        n = pf_kv_cache_span(to, slot, slots - slot, &keys, &values);
        pf_kv_cache_span(from, slot, slots - slot, &from_keys, &from_values);
        memcpy(keys, from_keys, n * row);
        memcpy(values, from_values, n * row);
    }
}

static bool copy_head(pf_head *to, const pf_head *from, size_t position, size_t D,
                      pf_error *error) {
    size_t n = from->history.count;
    copy_cache(&to->cache, &from->cache,
               position < from->cache.count ? position : from->cache.count);
    for (size_t t = 0; from->tails && t < from->features.n_tails; t++)
        memcpy(to->tails[t].S, from->tails[t].S, tail_floats(&from->tails[t]) * sizeof(float));
    if (from->features.memory) pf_head_features_copy(&to->features, &from->features);
    if (!from->history.keys) return true;
    if (!pf_history_reserve(&to->history, n, D, error)) return false;
    to->history.count = 0;
    pf_history_append(&to->history, from->history.keys, from->history.values, n, D);
    return true;
}

bool pf_attention_copy(pf_attention *to, const pf_attention *from, size_t position,
                       pf_error *error) {
    const pf_attention_config *c = &from->config;
    size_t heads = pf_attention_n_heads(c);
    memcpy(to->angles, from->angles, c->angle_rows * 2 * c->pairs * sizeof(float));
    memcpy(to->draws, from->draws, heads * sizeof *to->draws);
    to->draw = from->draw;
    if (!pf_kv_pool_reserve(&to->pool, position, error)) return false;
    for (size_t i = 0; i < heads; i++)
        if (!copy_head(&to->heads[i], &from->heads[i], position, c->model->head_dim, error))
            return false;
    return true;
}

/* Keys that a head has in its history after `position` tokens. */
static size_t history_count(const pf_attention *a, const pf_head *head, size_t position) {
    if (!head->tails || !pf_attention_redraws_in_text(a)) return 0;
    return pf_head_folded(head, position);
}

/* Slots of a cache that are saved. */
static size_t saved_slots(const pf_attention *a, const pf_head *head, size_t position) {
    bool grows = pf_attention_saves_part(a, (size_t)(head - a->heads));
    return grows ? position : head->cache.count;
}

size_t pf_attention_saved_bytes(const pf_attention *a, size_t position) {
    size_t sum = sizeof a->draw, row = a->config.model->head_dim * sizeof(float);
    bool overflow = false;
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++) {
        const pf_head *head = &a->heads[i];
        size_t slot_bytes, history_bytes, n_tails = head->tails ? head->features.n_tails : 0;
        overflow |= __builtin_mul_overflow(saved_slots(a, head, position),
                                           2 * pf_kv_cache_row_bytes(&head->cache), &slot_bytes);
        overflow |=
            __builtin_mul_overflow(history_count(a, head, position), 2 * row, &history_bytes);
        overflow |= __builtin_add_overflow(sum, sizeof a->draws[i], &sum);
        overflow |= __builtin_add_overflow(sum, slot_bytes, &sum);
        overflow |= __builtin_add_overflow(sum, history_bytes, &sum);
        for (size_t t = 0; t < n_tails; t++) sum += tail_floats(&head->tails[t]) * sizeof(float);
    }
    return overflow ? SIZE_MAX : sum;
}

static bool visit_cache(const pf_kv_cache *cache, size_t slots, pf_attention_visitor visit,
                        void *context, pf_error *error) {
    void *keys, *values;
    size_t row = pf_kv_cache_row_bytes(cache);
    for (size_t slot = 0, n; slot < slots; slot += n) {
        n = pf_kv_cache_span(cache, slot, slots - slot, &keys, &values);
        if (!visit(context, keys, n * row, error) || !visit(context, values, n * row, error))
            return false;
    }
    return true;
}

static bool visit_head(pf_attention *a, size_t i, size_t position, pf_attention_visitor visit,
                       void *context, pf_error *error) {
    pf_head *head = &a->heads[i];
    size_t history_bytes =
        history_count(a, head, position) * a->config.model->head_dim * sizeof(float);
    if (!visit(context, &a->draws[i], sizeof a->draws[i], error) ||
        !visit_cache(&head->cache, saved_slots(a, head, position), visit, context, error) ||
        !visit(context, head->history.keys, history_bytes, error) ||
        !visit(context, head->history.values, history_bytes, error))
        return false;
    for (size_t t = 0; head->tails && t < head->features.n_tails; t++) {
        size_t bytes = tail_floats(&head->tails[t]) * sizeof(float);
        if (!visit(context, head->tails[t].S, bytes, error)) return false;
    }
    return true;
}

bool pf_attention_visit(pf_attention *a, size_t position, pf_attention_visitor visit, void *context,
                        pf_error *error) {
    if (!visit(context, &a->draw, sizeof a->draw, error)) return false;
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++)
        if (!visit_head(a, i, position, visit, context, error)) return false;
    return true;
}

bool pf_attention_reserve(pf_attention *a, size_t position, pf_error *error) {
    if (!pf_kv_pool_reserve(&a->pool, position, error)) return false;
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++) {
        pf_head *head = &a->heads[i];
        size_t count = history_count(a, head, position);
        if (count > 0 &&
            !pf_history_reserve(&head->history, count, a->config.model->head_dim, error))
            return false;
    }
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++)
        a->heads[i].history.count = history_count(a, &a->heads[i], position);
    return true;
}

void pf_attention_restored(pf_attention *a, size_t position) {
    size_t rows = a->config.angle_rows, back = rows < position ? rows : position;
    pf_attention_compute_angles(a, position - back, back);
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++)
        pf_attention_draw_head(a, i, a->draws[i], a->draw_scratch);
}
