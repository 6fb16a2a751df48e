/* floor 1.17 - attention, made: the state of all heads and the working memory of all members. */
#include "attention.h"

#include "attention_share.h"
#include "attention_upkeep.h"
#include "cached_attention.h"
#include "carve.h"
#include "memory.h"

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* What the heads need in all, and the largest of them. */
typedef struct sizes {
    size_t state_floats, token_bytes, n_tails, slots, window,
        M; /* slots, window: of fixed caches */
} sizes;

static sizes measure(const pf_attention_config *c) {
    sizes all = {.M = 1};
    for (size_t i = 0; i < pf_attention_n_heads(c); i++) {
        pf_head_plan plan = pf_head_plan_of(c, i);
        all.state_floats += plan.floats;
        all.token_bytes += plan.token_bytes;
        all.n_tails += plan.n_tails;
        all.slots = larger(all.slots, plan.slots);
        if (plan.token_bytes == 0) all.window = larger(all.window, plan.window);
        all.M = larger(all.M, plan.M);
    }
    return all;
}

static pf_partial carve_partial(pf_carve *carve, size_t rows, size_t D) {
    float *out = pf_carve_floats(carve, rows * D), *den = pf_carve_floats(carve, rows);
    return (pf_partial){out, den, pf_carve_floats(carve, rows)};
}

/* Lays out one member's working memory; memory NULL only counts its floats. */
static size_t lay_out_scratch(pf_head_scratch *s, float *memory, const pf_attention_config *c,
                              sizes all) {
    size_t D = c->model->head_dim, G = pf_attention_group(c);
    size_t block = PF_QUERY_BLOCK, rows = larger(block, G);
    pf_carve carve = {.memory = memory};
    s->q = pf_carve_floats(&carve, rows * D);
    s->q_sink = pf_carve_floats(&carve, rows * D);
    s->q_features = pf_carve_floats(&carve, rows * D);
    s->key = pf_carve_floats(&carve, D);
    s->leaving_key = pf_carve_floats(&carve, block * D);
    s->leaving_value = pf_carve_floats(&carve, D);
    s->phi_q = pf_carve_floats(&carve, rows * all.M);
    s->phi_k = pf_carve_floats(&carve, block * all.M);
    s->k_scale = pf_carve_floats(&carve, block);
    s->scores = pf_carve_floats(&carve, pf_cached_scratch(G, all.slots, block, D));
    s->features = pf_carve_floats(&carve, pf_features_scratch(D, all.M, rows));
    s->exact = carve_partial(&carve, rows, D);
    s->tail = carve_partial(&carve, rows, D);
    s->K = pf_carve_floats(&carve, (all.slots + block) * D);
    s->V = pf_carve_floats(&carve, (all.slots + block) * D);
    s->rescale = pf_carve_floats(&carve, block);
    s->products = pf_carve_floats(&carve, larger(block * block, D));
    return carve.used;
}

static bool allocate(pf_attention *a, size_t max_tokens, pf_error *error) {
    pf_attention_config *c = &a->config;
    sizes all = measure(c);
    size_t heads = pf_attention_n_heads(c), D = c->model->head_dim, members = (size_t)a->n_members;
    size_t scratch_floats = lay_out_scratch(&(pf_head_scratch){0}, NULL, c, all);
    size_t row = 2 * c->pairs * sizeof(float), sets = pf_attention_angle_sets(c);
    c->angle_rows = (c->options.kind == PF_ATTENTION_SOFTMAX ? 0 : all.window) + max_tokens;
    a->state_floats = all.state_floats;
    a->token_bytes = all.token_bytes;
    a->pool.chunk_bytes = all.token_bytes * PF_KV_CHUNK;
    a->layers = pf_calloc(c->model->n_layers, sizeof *a->layers, "the attention state", error);
    a->heads = pf_calloc(heads, sizeof *a->heads, "the attention state", error);
    a->draws = pf_calloc(heads, sizeof *a->draws, "the attention state", error);
    a->tails = pf_calloc(all.n_tails, sizeof *a->tails, "the attention state", error);
    a->state = pf_calloc(all.state_floats, sizeof *a->state, "the attention state", error);
    a->frequency = pf_calloc(sets * c->pairs, sizeof *a->frequency, "rotary angles", error);
    a->angles = pf_calloc(sets * c->angle_rows, row, "rotary angles", error);
    a->sink_angles = pf_calloc(1, row, "rotary angles", error);
    a->scratch = pf_calloc(members, sizeof *a->scratch, "working memory", error);
    a->scratch_memory = pf_calloc(members * scratch_floats, sizeof(float), "working memory", error);
    a->parts =
        pf_calloc(pf_shared_parts_floats(c, members), sizeof *a->parts, "working memory", error);
    a->draw_scratch = pf_calloc(members * D, D * sizeof(double), "working memory", error);
    a->redraws = pf_calloc(members * PF_ALIGN, 1, "working memory", error);
    if (!a->layers || !a->heads || !a->draws || !a->tails || !a->state || !a->frequency ||
        !a->angles || !a->sink_angles || !a->scratch || !a->scratch_memory || !a->parts ||
        !a->draw_scratch || !a->redraws)
        return false;
    for (size_t m = 0; m < members; m++)
        lay_out_scratch(&a->scratch[m], a->scratch_memory + m * scratch_floats, c, all);
    return true;
}

static void set_up_angles(pf_attention *a) {
    pf_attention_config *c = &a->config;
    const pf_model *model = c->model;
    c->angles = a->angles;
    c->sink_angles = a->sink_angles;
    const float *factors = pf_model_rope_factors(model, c->context);
    pf_rope_frequencies(model->rope_base, factors, 2 * c->pairs, a->frequency);
    if (pf_attention_angle_sets(c) > 1)
        pf_rope_frequencies(model->sliding_rope_base, NULL, 2 * c->pairs, a->frequency + c->pairs);
    pf_rope_angles(a->frequency, c->pairs, c->sink_context > 0 ? c->sink_context - 1 : 0,
                   a->sink_angles);
    for (size_t i = 0; i < model->n_layers; i++) a->layers[i] = pf_attention_config_of_layer(c, i);
}

/* Points head i into its state (its cache in a chunk of the pool, if it grows, at `offset`) and
 * makes its features, drawn. */
static bool set_up_head(pf_attention *a, size_t i, pf_head_plan plan, float *state, size_t offset,
                        pf_favor_state *tails, pf_error *error) {
    size_t n = a->config.model->n_kv_heads, D = a->config.model->head_dim;
    const pf_attention_config *c = &a->layers[i / n];
    const pf_attention_options *options = &c->options;
    pf_head *head = &a->heads[i];
    head->sinks = plan.sinks;
    head->window = plan.window;
    head->cache = plan.token_bytes > 0 ? pf_kv_cache_growing(&a->pool, offset, options->kv, D)
                                       : pf_kv_cache_at(state, options->kv, plan.slots, D);
    if (plan.M == 0) return true;
    if (!pf_head_features_new(&head->features, c, (uint32_t)(i / n), (uint32_t)(i % n),
                              (uint32_t)plan.M, error))
        return false;
    head->tails = tails;
    float decay = options->forget > 0 ? 1 - 1 / (float)options->forget : 1;
    float epsilon = head->features.tail_epsilon, *tail_state = state + plan.slot_floats;
    for (size_t t = 0; t < plan.n_tails; t++) {
        tails[t] = pf_favor_state_at(tail_state, plan.M, D, epsilon, decay);
        tail_state += pf_cache_line_floats(pf_favor_state_floats(plan.M, D, epsilon));
        pf_favor_state_reset(&tails[t]);
    }
    pf_attention_draw_head(a, i, 0, a->draw_scratch);
    return true;
}

pf_attention *pf_attention_new(const pf_attention_config *config, size_t max_tokens, int n_threads,
                               pf_error *error) {
    if (!pf_attention_check(config, error)) return NULL;
    pf_attention *a = pf_calloc(1, sizeof *a, "the attention state", error);
    if (!a) return NULL;
    a->config = *config;
    a->n_members = n_threads;
    if (config->options.kind == PF_ATTENTION_SOFTMAX) a->config.options.sinks = 0;
    if (!allocate(a, max_tokens, error)) goto fail;
    set_up_angles(a);
    float *state = a->state;
    size_t offset = 0;
    pf_favor_state *tails = a->tails;
    for (size_t i = 0; i < pf_attention_n_heads(config); i++) {
        pf_head_plan plan = pf_head_plan_of(&a->config, i);
        if (!set_up_head(a, i, plan, state, offset, tails, error)) goto fail;
        state += plan.floats;
        offset += plan.token_bytes * PF_KV_CHUNK;
        tails += plan.n_tails;
    }
    return a;
fail:
    pf_attention_free(a);
    return NULL;
}

void pf_attention_free(pf_attention *a) {
    if (!a) return;
    for (size_t i = 0; a->heads && i < pf_attention_n_heads(&a->config); i++) {
        pf_head_features_free(&a->heads[i].features);
        pf_history_free(&a->heads[i].history);
    }
    pf_free(a->layers);
    pf_free(a->heads);
    pf_free(a->draws);
    pf_free(a->tails);
    pf_free(a->state);
    pf_kv_pool_free(&a->pool);
    pf_free(a->frequency);
    pf_free(a->angles);
    pf_free(a->sink_angles);
    pf_free(a->scratch);
    pf_free(a->scratch_memory);
    pf_free(a->parts);
    pf_free(a->draw_scratch);
    pf_free(a->redraws);
    pf_free(a);
}

void pf_attention_rewind(pf_attention *a) {
    bool redrawn = pf_attention_redraws_in_text(a);
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++) {
        pf_head *head = &a->heads[i];
        pf_kv_cache *cache = &head->cache;
        head->history.count = 0;
        if (!pf_attention_saves_part(a, i)) /* all of it is saved: as zeros */
            memset(cache->keys, 0, 2 * cache->count * pf_kv_cache_row_bytes(cache));
        if (!head->tails) continue;
        if (redrawn) pf_attention_draw_head(a, i, a->draw, a->draw_scratch);
        for (size_t t = 0; t < head->features.n_tails; t++) pf_favor_state_reset(&head->tails[t]);
    }
}

void pf_attention_reset(pf_attention *a) {
    const pf_attention_options *options = &a->config.options;
    bool draw = options->kind == PF_ATTENTION_FAVOR && options->redraw != PF_REDRAW_NEVER;
    if (draw) a->draw++;
    if (draw && !pf_attention_redraws_in_text(a))
        for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++)
            pf_attention_draw_head(a, i, a->draw, a->draw_scratch);
    pf_attention_rewind(a);
}

pf_head_view pf_attention_view(const pf_attention *a, uint32_t layer, uint32_t kv_head) {
    size_t index = (size_t)layer * a->config.model->n_kv_heads + kv_head;
    return (pf_head_view){&a->layers[layer], &a->heads[index]};
}

size_t pf_attention_state_bytes(const pf_attention *a, size_t position) {
    size_t floats = a->state_floats;
    for (size_t i = 0; i < pf_attention_n_heads(&a->config); i++)
        floats += 2 * a->heads[i].history.capacity * a->config.model->head_dim;
    return floats * sizeof(float) + a->token_bytes * position;
}

uint64_t pf_attention_bad_denominators(const pf_attention *a) {
    uint64_t sum = 0;
    for (int m = 0; m < a->n_members; m++) sum += a->scratch[m].bad_denominators;
    return sum;
}

uint64_t pf_attention_redraws(const pf_attention *a) {
    uint64_t sum = 0;
    for (int m = 0; m < a->n_members; m++)
        sum += a->redraws[(size_t)m * PF_ALIGN / sizeof *a->redraws];
    return sum;
}
