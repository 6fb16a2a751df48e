/* floor 1.12 - attention plan: how much each head keeps, worked out before anything is
 * allocated. */
#include "attention_plan.h"

#include "carve.h"

static size_t of_head(const uint32_t *per_head, uint32_t from_options, size_t index) {
    return per_head ? per_head[index] : from_options;
}

static float tail_epsilon(const pf_attention_options *options) {
    return options->map == PF_MAP_RELU ? 0 : options->epsilon;
}

/* In whole cache lines. */
static size_t bytes_to_floats(size_t bytes) {
    return pf_cache_line_floats((bytes + sizeof(float) - 1) / sizeof(float));
}

pf_head_plan pf_head_plan_of(const pf_attention_config *config, size_t index) {
    size_t layer = index / config->model->n_kv_heads;
    pf_attention_config of_layer = pf_attention_config_of_layer(config, layer), *c = &of_layer;
    const pf_attention_options *options = &c->options;
    size_t D = c->model->head_dim;
    pf_head_plan plan = {0};
    size_t window = of_head(c->windows, options->window, index);
    if (options->kind == PF_ATTENTION_SOFTMAX) {
        plan.window = plan.slots = c->context;
    } else if (window == PF_WINDOW_ALL) { /* an exact head */
        plan.window = SIZE_MAX / 2;
        plan.token_bytes = pf_kv_bytes(options->kv, 1, D);
        return plan;
    } else {
        plan.sinks = options->sinks;
        plan.window = window;
        plan.slots = plan.sinks + plan.window;
    }
    plan.slot_floats = bytes_to_floats(pf_kv_bytes(options->kv, plan.slots, D));
    plan.floats = plan.slot_floats;
    if (options->kind != PF_ATTENTION_FAVOR) return plan;
    plan.M = of_head(c->head_features, options->features, index);
    plan.M = pf_map_whole_features(options->map, plan.M);
    if (options->map == PF_MAP_ELU) plan.M = D;
    if (plan.M == 0) return plan; /* this head has a window only */
    plan.n_tails = pf_head_n_tails(c, (uint32_t)layer);
    plan.floats += plan.n_tails *
                   pf_cache_line_floats(pf_favor_state_floats(plan.M, D, tail_epsilon(options)));
    return plan;
}

size_t pf_attention_n_heads(const pf_attention_config *c) {
    return (size_t)c->model->n_layers * c->model->n_kv_heads;
}

pf_attention_bytes pf_attention_planned_bytes(const pf_attention_config *c) {
    pf_attention_bytes bytes = {0};
    for (size_t i = 0; i < pf_attention_n_heads(c); i++) {
        pf_head_plan plan = pf_head_plan_of(c, i);
        bytes.constant += plan.floats * sizeof(float);
        bytes.per_token += plan.token_bytes;
    }
    return bytes;
}

bool pf_attention_check(const pf_attention_config *c, pf_error *error) {
    const pf_attention_options *options = &c->options;
    char message[160];
    uint32_t M = options->features;
    if (!pf_kv_check(options->kv, c->model->head_dim, error)) return false;
    if (options->kind == PF_ATTENTION_LOCAL && !c->windows && options->window == 0)
        return pf_fail(error,
                       "--attention local needs a window of at least 1 token: give --window W");
    if (options->kind != PF_ATTENTION_FAVOR) return true;
    if (options->noncausal_stabilizer &&
        (options->window || options->sinks || c->windows || options->redraw != PF_REDRAW_NEVER))
        return pf_fail(error, "a stabiliser over the whole text works with plain features only: no "
                              "window, no sinks, no redraws");
    if (!c->head_features &&
        !pf_map_check_features(options->map, c->model->head_dim, &M, message, sizeof message))
        return pf_fail(error, "%s", message);
    return true;
}
