/* floor 1.12 - attention of a whole model: the state of every layer and head, one interface for all kinds. */
#include "attention.h"

#include "attention_share.h"
#include "memory.h"

#include <string.h>

struct pf_attention {
    pf_attention_shape shape;
    pf_attention_options options;
    pf_head_shape head_shape;
    pf_head *heads;        /* [n_layers, n_kv_heads] */
    pf_favor_state *tails; /* of all heads */
    float *state;          /* all that is kept per sequence, but the histories */
    size_t state_floats;
    double *frequency; /* [pairs] */
    float *angles, *sink_angles;
    int n_members;
    pf_head_scratch *scratch; /* [n_members] */
    float *scratch_memory;
    float *parts;         /* of shared heads */
    double *draw_scratch; /* [n_members, D, D] */
    uint32_t draw;        /* sequences drawn for so far */
    uint32_t *draws;      /* [n_layers, n_kv_heads] the draw that a head's features are of */
    uint64_t *redraws;    /* [n_members] */
};

/* Points head i into the state and makes its features. */
static bool set_up_head(pf_attention *a, size_t i, pf_head_plan plan, float *state,
                        pf_favor_state **next_tail, pf_error *error) {
    pf_head *head = &a->heads[i];
    pf_head_index place = pf_head_index_at(&a->shape, i);
    size_t D = a->shape.head_dim;
    head->window = plan.window;
    head->kept = pf_kv_cache_at(state, a->options.kv, plan.slots, D);
    if (plan.M == 0) return true;
    if (!pf_head_features_new(&head->features, &a->options, &a->shape.favor[place.layer], place,
                              (uint32_t)plan.M, error))
        return false;
    head->tails = *next_tail;
    *next_tail += plan.n_tails;
    float keep = a->options.forget > 0 ? 1 - 1 / (float)a->options.forget : 1;
    float *tail_state = state + plan.slot_floats;
    for (size_t t = 0; t < plan.n_tails; t++) {
        head->tails[t] =
            pf_favor_state_at(tail_state, plan.M, D, head->features.tail_epsilon, keep);
        tail_state +=
            pf_state_round_up(pf_favor_state_floats(plan.M, D, head->features.tail_epsilon));
    }
    return true;
}

static void draw_head(pf_attention *a, size_t i, uint32_t draw, double *scratch) {
    pf_head_index place = pf_head_index_at(&a->shape, i);
    if (!a->heads[i].tails) return;
    a->draws[i] = draw;
    pf_head_features_draw(&a->heads[i].features, &a->options, &a->shape.favor[place.layer], place,
                          draw, scratch);
}

static bool allocate(pf_attention *a, size_t context, size_t max_tokens, pf_error *error) {
    const pf_attention_shape *shape = &a->shape;
    size_t heads = pf_attention_n_heads(shape), D = shape->head_dim, n_tails = 0, max_slots = 0,
           max_M = 1;
    size_t max_window = 0, members = (size_t)a->n_members;
    bool softmax = a->options.kind == PF_ATTENTION_SOFTMAX;
    for (size_t i = 0; i < heads; i++) {
        pf_head_plan plan = pf_head_plan_of(shape, &a->options, context, i);
        a->state_floats += plan.floats;
        n_tails += plan.n_tails;
        if (plan.slots > max_slots) max_slots = plan.slots;
        if (plan.window > max_window) max_window = plan.window;
        if (plan.M > max_M) max_M = plan.M;
    }
    size_t pairs = pf_position_rotates(shape->position) ? shape->rope_dim / 2 : 0;
    a->head_shape.pairs = pairs;
    a->head_shape.angle_rows = (softmax ? 0 : max_window) + max_tokens;
    size_t floats = pf_head_scratch_floats(&a->head_shape, max_slots, max_M);
    a->heads = pf_calloc(heads, sizeof *a->heads, "the attention state", error);
    a->draws = pf_calloc(heads, sizeof *a->draws, "the attention state", error);
    a->tails = pf_calloc(n_tails, sizeof *a->tails, "the attention state", error);
    a->state = pf_calloc(a->state_floats, sizeof *a->state, "the attention state", error);
    a->frequency = pf_calloc(pairs, sizeof *a->frequency, "rotary angles", error);
    a->angles =
        pf_calloc(a->head_shape.angle_rows, 2 * pairs * sizeof *a->angles, "rotary angles", error);
    a->sink_angles = pf_calloc(2 * pairs, sizeof *a->sink_angles, "rotary angles", error);
    a->scratch = pf_calloc(members, sizeof *a->scratch, "working memory", error);
    a->scratch_memory = pf_calloc(members * floats, sizeof(float), "working memory", error);
    a->parts = pf_calloc(pf_shared_parts_floats(&a->head_shape, shape->n_kv_heads, members),
                         sizeof *a->parts, "working memory", error);
    a->draw_scratch = pf_calloc(members * D, D * sizeof(double), "working memory", error);
    a->redraws = pf_calloc(members * PF_ALIGN, 1, "working memory", error);
    if (!a->heads || !a->draws || !a->tails || !a->state || !a->frequency || !a->angles ||
        !a->sink_angles || !a->scratch || !a->scratch_memory || !a->parts || !a->draw_scratch ||
        !a->redraws)
        return false;
    for (size_t m = 0; m < members; m++)
        a->scratch[m] =
            pf_head_scratch_at(a->scratch_memory + m * floats, &a->head_shape, max_slots, max_M);
    return true;
}

pf_attention *pf_attention_new(const pf_attention_shape *shape, const pf_attention_options *options,
                               size_t context, size_t max_tokens, int n_threads, pf_error *error) {
    if (!pf_attention_check(shape, options, error)) return NULL;
    pf_attention *a = pf_calloc(1, sizeof *a, "the attention state", error);
    if (!a) return NULL;
    a->shape = *shape;
    a->options = *options;
    a->n_members = n_threads;
    if (options->kind == PF_ATTENTION_SOFTMAX) a->options.sinks = 0;
    a->head_shape = (pf_head_shape){.D = shape->head_dim,
                                    .G = shape->n_heads / shape->n_kv_heads,
                                    .stride_q = (size_t)shape->n_heads * shape->head_dim,
                                    .stride_kv = (size_t)shape->n_kv_heads * shape->head_dim,
                                    .sinks = a->options.sinks,
                                    .context = shape->trained_context,
                                    .scale = shape->scale,
                                    .tail_rope = shape->tail_rope,
                                    .position = shape->position};
    if (!allocate(a, context, max_tokens, error)) goto fail;
    a->head_shape.angles = a->angles;
    a->head_shape.sink_angles = a->sink_angles;
    pf_rope_frequencies(shape->rope_base, shape->rope_factors, 2 * a->head_shape.pairs,
                        a->frequency);
    pf_rope_angles(a->frequency, a->head_shape.pairs,
                   shape->trained_context > 0 ? shape->trained_context - 1 : 0, a->sink_angles);
    float *state = a->state;
    pf_favor_state *next_tail = a->tails;
    for (size_t i = 0; i < pf_attention_n_heads(shape); i++) {
        pf_head_plan plan = pf_head_plan_of(shape, &a->options, context, i);
        if (!set_up_head(a, i, plan, state, &next_tail, error)) goto fail;
        draw_head(a, i, 0, a->draw_scratch);
        for (size_t t = 0; t < plan.n_tails; t++) pf_favor_state_reset(&a->heads[i].tails[t]);
        state += plan.floats;
    }
    return a;
fail:
    pf_attention_free(a);
    return NULL;
}

void pf_attention_free(pf_attention *a) {
    if (!a) return;
    for (size_t i = 0; a->heads && i < pf_attention_n_heads(&a->shape); i++) {
        pf_head_features_free(&a->heads[i].features);
        pf_free(a->heads[i].history.keys);
        pf_free(a->heads[i].history.values);
    }
    pf_free(a->heads);
    pf_free(a->draws);
    pf_free(a->tails);
    pf_free(a->state);
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

static bool redraws_in_text(const pf_attention *a) {
    return a->options.kind == PF_ATTENTION_FAVOR && a->options.redraw != PF_REDRAW_NEVER &&
           a->options.redraw != PF_REDRAW_SEQUENCE;
}

void pf_attention_rewind(pf_attention *a) {
    bool redrawn = redraws_in_text(a);
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++) {
        pf_head *head = &a->heads[i];
        head->history.count = 0;
        if (a->options.kind != PF_ATTENTION_SOFTMAX) /* slots not used yet are saved as zeros */
            memset(head->kept.keys, 0, 2 * head->kept.count * pf_kv_cache_row_bytes(&head->kept));
        if (!head->tails) continue;
        if (redrawn) draw_head(a, i, a->draw, a->draw_scratch);
        for (size_t t = 0; t < head->features.n_tails; t++) pf_favor_state_reset(&head->tails[t]);
    }
}

void pf_attention_reset(pf_attention *a) {
    bool draw = a->options.kind == PF_ATTENTION_FAVOR && a->options.redraw != PF_REDRAW_NEVER;
    if (draw) a->draw++;
    if (draw && !redraws_in_text(a))
        for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++)
            draw_head(a, i, a->draw, a->draw_scratch);
    pf_attention_rewind(a);
}

static bool reserve(pf_history *history, size_t count, size_t D, pf_error *error) {
    if (count <= history->capacity && history->keys && history->values) return true;
    size_t capacity = history->capacity < 256 ? 256 : history->capacity * 2;
    if (capacity < count) capacity = count;
    float *keys =
        pf_realloc(history->keys, capacity, D * sizeof *keys, "keys kept for redraws", error);
    if (!keys) return false;
    history->keys = keys;
    float *values =
        pf_realloc(history->values, capacity, D * sizeof *values, "values kept for redraws", error);
    if (!values) return false;
    history->values = values;
    history->capacity = capacity;
    return true;
}

static void compute_angles(pf_attention *a, size_t position, size_t T) {
    size_t pairs = a->head_shape.pairs;
    for (size_t p = position; pairs > 0 && p < position + T; p++)
        pf_rope_angles(a->frequency, pairs, p,
                       a->angles + p % a->head_shape.angle_rows * 2 * pairs);
}

bool pf_attention_begin(pf_attention *a, size_t position, size_t T, pf_error *error) {
    compute_angles(a, position, T);
    if (!redraws_in_text(a)) return true;
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++) {
        pf_head *head = &a->heads[i];
        if (head->tails &&
            !reserve(&head->history, head->history.count + T, a->shape.head_dim, error))
            return false;
    }
    return true;
}

/* The next position after `position` (or itself) where a layer draws anew: every N tokens, the layers
 * spread evenly over the N so that their work does not fall on one token. */
static size_t next_redraw(const pf_attention *a, uint32_t layer, size_t position) {
    size_t N = a->options.redraw, offset = (size_t)layer * N / a->shape.n_layers;
    if (position == 0) position = 1; /* the first draw serves the first tokens */
    size_t past = position + N - offset;
    return (past + N - 1) / N * N + offset - N;
}

static void redraw(pf_attention *a, pf_member member, size_t index, size_t position) {
    size_t D = a->shape.head_dim, m = (size_t)member.index;
    /* draws are numbered by sequence and position, so that a text has one result at any chunking */
    uint32_t draw = a->draw + 0x10000u * (uint32_t)(1 + position / a->options.redraw);
    draw_head(a, index, draw, a->draw_scratch + m * D * D);
    pf_head_rebuild(&a->head_shape, &a->heads[index], &a->scratch[m]);
    if (index % a->shape.n_kv_heads == 0) a->redraws[m * PF_ALIGN / sizeof *a->redraws]++;
}

static pf_head_shape shape_of_head(const pf_attention *a, size_t index) {
    pf_head_shape shape = a->head_shape;
    shape.has_tail = a->heads[index].tails != NULL;
    return shape;
}

pf_head_view pf_attention_view(const pf_attention *a, uint32_t layer, uint32_t kv_head) {
    size_t index = (size_t)layer * a->shape.n_kv_heads + kv_head;
    return (pf_head_view){shape_of_head(a, index), &a->heads[index]};
}

/* One head over all T tokens, stopping to redraw where its layer is due. */
static void append_head(pf_attention *a, pf_member member, size_t index, size_t position, size_t T,
                        const float *q, const float *k, const float *v, float *out) {
    pf_head_shape shape = shape_of_head(a, index);
    pf_head *head = &a->heads[index];
    bool redraws = redraws_in_text(a) && head->tails;
    size_t done = 0;
    if (a->options.noncausal_stabilizer && head->tails)
        pf_head_noncausal_stabilizer(&shape, head, &a->scratch[member.index], position, T, k);
    while (done < T) {
        size_t n = T - done;
        if (redraws) {
            uint32_t layer = (uint32_t)(index / a->shape.n_kv_heads);
            size_t due = next_redraw(a, layer, position + done);
            if (due == position + done) {
                redraw(a, member, index, due);
                due = next_redraw(a, layer, due + 1);
            }
            if (due - position - done < n) n = due - position - done;
        }
        pf_head_append(&shape, head, &a->scratch[member.index], position + done, n,
                       q + done * shape.stride_q, k + done * shape.stride_kv,
                       v + done * shape.stride_kv, out + done * shape.stride_q);
        done += n;
    }
}

void pf_attention_append(pf_attention *a, pf_member member, uint32_t layer, size_t position,
                         size_t T, const float *q, const float *k, const float *v, float *out) {
    size_t D = a->shape.head_dim, G = a->head_shape.G, n = a->shape.n_kv_heads, begin, end;
    pf_shared_layer shared = {&a->head_shape, a->heads + layer * n, n, &a->scratch[member.index],
                              a->parts};
    bool whole_heads =
        redraws_in_text(a) || a->options.noncausal_stabilizer; /* these go by heads alone */
    if (!whole_heads && pf_shared_pays(&shared, member, position, T)) {
        pf_shared_append(&shared, member, position, T, q, k, v, out);
        return;
    }
    pf_share(member, n, 1, &begin, &end);
    for (size_t h = begin; h < end; h++)
        append_head(a, member, (size_t)layer * n + h, position, T, q + h * G * D, k + h * D,
                    v + h * D, out + h * G * D);
}

size_t pf_attention_state_bytes(const pf_attention *a) {
    size_t floats = a->state_floats;
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++)
        floats += 2 * a->heads[i].history.capacity * a->shape.head_dim;
    return floats * sizeof(float);
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

static bool copy_head(pf_head *to, const pf_head *from, size_t position, size_t D,
                      pf_error *error) {
    size_t used = position < from->kept.count ? position : from->kept.count;
    size_t n = from->history.count, row = pf_kv_cache_row_bytes(&from->kept);
    memcpy(to->kept.keys, from->kept.keys, used * row);
    memcpy(to->kept.values, from->kept.values, used * row);
    for (size_t t = 0; from->tails && t < from->features.n_tails; t++)
        memcpy(to->tails[t].S, from->tails[t].S,
               pf_favor_state_floats(from->tails[t].M, D, from->tails[t].epsilon) * sizeof(float));
    if (from->features.memory) pf_head_features_copy(&to->features, &from->features);
    if (!from->history.keys) return true;
    if (!reserve(&to->history, n, D, error)) return false;
    memcpy(to->history.keys, from->history.keys, n * D * sizeof(float));
    memcpy(to->history.values, from->history.values, n * D * sizeof(float));
    to->history.count = n;
    return true;
}

bool pf_attention_copy(pf_attention *to, const pf_attention *from, size_t position,
                       pf_error *error) {
    size_t heads = pf_attention_n_heads(&from->shape);
    memcpy(to->angles, from->angles,
           from->head_shape.angle_rows * 2 * from->head_shape.pairs * sizeof(float));
    memcpy(to->draws, from->draws, heads * sizeof *to->draws);
    to->draw = from->draw;
    for (size_t i = 0; i < heads; i++)
        if (!copy_head(&to->heads[i], &from->heads[i], position, from->shape.head_dim, error))
            return false;
    return true;
}

/* ---- state for snapshots ---- */

/* What a head has folded of a text of `position` tokens, if it keeps it for redraws. */
static size_t history_count(const pf_attention *a, const pf_head *head, size_t position) {
    size_t kept = a->options.sinks + head->window;
    return head->tails && redraws_in_text(a) && position > kept ? position - kept : 0;
}

static bool visit_head(pf_attention *a, size_t i, size_t position, pf_attention_visitor visit,
                       void *context, pf_error *error) {
    pf_head *head = &a->heads[i];
    size_t row = a->shape.head_dim * sizeof(float), history = history_count(a, head, position);
    size_t slots = a->options.kind == PF_ATTENTION_SOFTMAX ? position : head->kept.count;
    size_t slot_bytes = slots * pf_kv_cache_row_bytes(&head->kept);
    if (!visit(context, &a->draws[i], sizeof a->draws[i], error) ||
        !visit(context, head->kept.keys, slot_bytes, error) ||
        !visit(context, head->kept.values, slot_bytes, error) ||
        !visit(context, head->history.keys, history * row, error) ||
        !visit(context, head->history.values, history * row, error))
        return false;
    for (size_t t = 0; head->tails && t < head->features.n_tails; t++) {
        const pf_favor_state *tail = &head->tails[t];
        size_t floats = pf_favor_state_floats(tail->M, tail->D, tail->epsilon);
        if (!visit(context, tail->S, floats * sizeof(float), error)) return false;
    }
    return true;
}

bool pf_attention_visit(pf_attention *a, size_t position, pf_attention_visitor visit, void *context,
                        pf_error *error) {
    if (!visit(context, &a->draw, sizeof a->draw, error)) return false;
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++)
        if (!visit_head(a, i, position, visit, context, error)) return false;
    return true;
}

bool pf_attention_reserve(pf_attention *a, size_t position, pf_error *error) {
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++) {
        pf_head *head = &a->heads[i];
        size_t count = history_count(a, head, position);
        if (count > 0 && !reserve(&head->history, count, a->shape.head_dim, error)) return false;
    }
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++)
        a->heads[i].history.count = history_count(a, &a->heads[i], position);
    return true;
}

void pf_attention_restored(pf_attention *a, size_t position) {
    size_t back = a->head_shape.angle_rows < position ? a->head_shape.angle_rows : position;
    compute_angles(a, position - back, back);
    for (size_t i = 0; i < pf_attention_n_heads(&a->shape); i++)
        draw_head(a, i, a->draws[i], a->draw_scratch);
}
