/* floor 1.11 - attention plan: how much every head keeps, worked out before anything is allocated. */
#include "attention_plan.h"

static size_t of_head(const uint32_t *per_head, uint32_t from_options, size_t index) {
    return per_head ? per_head[index] : from_options;
}

size_t pf_state_round_up(size_t floats) {
    return (floats + 15) / 16 * 16; /* every head's state starts on a cache line */
}

pf_head_index pf_head_index_at(const pf_attention_shape *shape, size_t index) {
    return (pf_head_index){.layer = (uint32_t)(index / shape->n_kv_heads),
                           .kv_head = (uint32_t)(index % shape->n_kv_heads),
                           .n_heads = shape->n_heads,
                           .n_kv_heads = shape->n_kv_heads,
                           .D = shape->head_dim,
                           .attention_scale = shape->scale};
}

static float tail_epsilon(const pf_attention_options *options) {
    return options->map == PF_MAP_RELU ? 0 : options->epsilon;
}

pf_head_plan pf_head_plan_of(const pf_attention_shape *shape, const pf_attention_options *options,
                             size_t context, size_t index) {
    size_t D = shape->head_dim;
    pf_head_plan plan = {0};
    if (options->kind == PF_ATTENTION_SOFTMAX) {
        plan.window = plan.slots = context;
    } else {
        plan.window = of_head(shape->windows, options->window, index);
        plan.slots = options->sinks + plan.window;
    }
    plan.slot_floats = pf_state_round_up(pf_kv_cache_floats(options->kv, plan.slots, D));
    plan.floats = plan.slot_floats;
    if (options->kind != PF_ATTENTION_FAVOR) return plan;
    plan.M = of_head(shape->head_features, options->features, index);
    plan.M = pf_map_whole_features(options->map, plan.M);
    if (options->map == PF_MAP_ELU) plan.M = D;
    if (plan.M == 0) return plan; /* this head has a window only */
    pf_head_index place = pf_head_index_at(shape, index);
    plan.n_tails = pf_head_n_tails(options, &shape->favor[place.layer], place);
    plan.floats +=
        plan.n_tails * pf_state_round_up(pf_favor_state_floats(plan.M, D, tail_epsilon(options)));
    return plan;
}

size_t pf_attention_n_heads(const pf_attention_shape *shape) {
    return (size_t)shape->n_layers * shape->n_kv_heads;
}

size_t pf_attention_planned_bytes(const pf_attention_shape *shape,
                                  const pf_attention_options *options, size_t context) {
    size_t floats = 0;
    for (size_t i = 0; i < pf_attention_n_heads(shape); i++)
        floats += pf_head_plan_of(shape, options, context, i).floats;
    return floats * sizeof(float);
}

bool pf_attention_check(const pf_attention_shape *shape, const pf_attention_options *options,
                        pf_error *error) {
    char message[160];
    uint32_t M = options->features;
    if (options->kind == PF_ATTENTION_LOCAL && !shape->windows && options->window == 0)
        return pf_fail(error,
                       "--attention local needs a window of at least 1 token: give --window W");
    if (options->kind != PF_ATTENTION_FAVOR) return true;
    if (options->noncausal_stabilizer &&
        (options->window || options->sinks || shape->windows || options->redraw != PF_REDRAW_NEVER))
        return pf_fail(error, "a stabiliser over the whole text serves plain features only: no "
                              "window, no sinks, no redraws");
    if (!shape->head_features &&
        !pf_map_check_features(options->map, shape->head_dim, &M, message, sizeof message))
        return pf_fail(error, "%s", message);
    return true;
}
