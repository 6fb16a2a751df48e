/* floor 1.2 - attention config: a model, the attention asked of it, and what follows from both. */
#include "attention_config.h"

static void resolve_map(const pf_model *model, pf_attention_options *options) {
    if (options->map != PF_MAP_NORMALIZED || model->attention.map != PF_MAP_NORMALIZED) return;
    if (options->uncalibrated)
        options->map = PF_MAP_POSITIVE;
    else if (options->features != model->attention.features || options->redraw != PF_REDRAW_NEVER)
        options->map = PF_MAP_FAVOR_PP;
}

pf_attention_config pf_attention_configure(const pf_model *model, pf_attention_options options,
                                           size_t context) {
    resolve_map(model, &options);
    const pf_attention_options *stored = &model->attention;
    bool calibrated = !options.uncalibrated;
    bool fitted_for_other_map =
        stored->map == PF_MAP_NORMALIZED && options.map != PF_MAP_NORMALIZED;
    return (pf_attention_config){
        .model = model,
        .options = options,
        .context = context,
        .sink_context = context > model->context ? context : model->context,
        .windows = calibrated && options.window == stored->window ? model->windows : NULL,
        .head_features =
            calibrated && options.features == stored->features ? model->head_features : NULL,
        /* fitted features may read q and k before RoPE; estimators of softmax read what it reads */
        .tail_rope = model->tail_rope || !calibrated || fitted_for_other_map,
        .fresh_projections =
            options.seed != stored->seed || options.projection != stored->projection,
        .pairs = pf_position_rotates(model->position) ? model->rope_dim / 2 : 0,
    };
}

pf_attention_config pf_attention_config_of_layer(const pf_attention_config *config, size_t layer) {
    pf_attention_config c = *config;
    if (!c.model->layers) return c;
    uint32_t window = c.model->layers[layer].window;
    if (c.model->layers[layer].unrotated) c.pairs = 0;
    if (window == 0) return c;
    c.options.kind = PF_ATTENTION_LOCAL;
    c.options.window = window;
    c.options.sinks = 0;
    c.windows = NULL;
    if (c.angles) c.angles += (pf_attention_angle_sets(&c) - 1) * c.angle_rows * 2 * c.pairs;
    return c;
}
