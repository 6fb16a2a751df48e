/* floor 4.2 - any decoder whose --config lists its tensors (docs/convert.md): the family `performer`. */
#include "import_projects.h"

#include <stdio.h>
#include <string.h>

#define KEY(name) "performer." name

static bool list_rows(pf_layout *layout, const json_t *config, bool take, pf_error *error) {
    const char *target;
    json_t *source;
    json_t *tensors = json_object_get(config, "tensors");
    json_object_foreach(tensors, target, source) {
        if (!json_is_string(source))
            return pf_fail(error,
                           "\"tensors\" of the --config: %.80s should name a tensor of the "
                           "file, as a text",
                           target);
        pf_layout_row row = {target, json_string_value(source)};
        uint32_t n = strstr(row.source, "{layer}") ? pf_layout_count(layout, row.source) : 0;
        if (n > layout->n_layers) layout->n_layers = n;
        if (take && !pf_layout_take(layout, &row, 1, error)) return false;
    }
    return true;
}

static bool ignore_listed(pf_layout *layout, const json_t *config, pf_error *error) {
    size_t i;
    json_t *source, *ignored = json_object_get(config, "ignore");
    if (ignored && !json_is_array(ignored))
        return pf_fail(error, "\"ignore\" of the --config should be a list of tensor names");
    json_array_foreach(ignored, i, source) {
        if (!json_is_string(source))
            return pf_fail(error, "\"ignore\" of the --config should hold tensor names");
        pf_layout_ignore(layout, json_string_value(source));
    }
    return true;
}

static uint64_t axis(const pf_layout *layout, const char *target, int i) {
    const pf_tensor *tensor = pf_checkpoint_find(layout->to, target);
    return tensor ? tensor->shape[i] : 0;
}

static bool set_sizes(const pf_layout *layout, const json_t *config, pf_error *error) {
    uint64_t C = axis(layout, "token_embd.weight", 0);
    uint32_t heads = 0, dim_head = 0, kv_heads = 0;
    uint32_t context = (uint32_t)axis(layout, "position_embd.weight", 1);
    if (!pf_config_u32(config, "heads", &heads, error) ||
        !pf_config_u32(config, "dim_head", &dim_head, error) ||
        !pf_config_u32(config, "kv_heads", &kv_heads, error) ||
        !pf_config_u32(config, "context", &context, error))
        return false;
    if (heads && !dim_head) dim_head = (uint32_t)(axis(layout, "blk.0.attn_q.weight", 1) / heads);
    if (dim_head && !kv_heads)
        kv_heads = (uint32_t)(axis(layout, "blk.0.attn_k.weight", 1) / dim_head);
    const pf_foreign_size sizes[] = {
        {"context_length", context},
        {"embedding_length", C},
        {"block_count", layout->n_layers},
        {"feed_forward_length", axis(layout, "blk.0.ffn_down.weight", 0)},
        {"attention.head_count", heads},
        {"attention.head_count_kv", kv_heads},
        {"attention.key_length", dim_head},
    };
    return pf_foreign_set_sizes(layout->to, "performer", sizes, sizeof sizes / sizeof *sizes,
                                error);
}

static bool set_kinds(const pf_layout *layout, const json_t *config, pf_error *error) {
    const char *norm = "layer", *activation = "gelu", *position = "none";
    float eps = 1e-5f, scale = 0, base = 10000;
    if (!pf_config_text(config, "norm", &norm, error) ||
        !pf_config_text(config, "activation", &activation, error) ||
        !pf_config_text(config, "position", &position, error) ||
        !pf_config_f32(config, "norm_eps", &eps, error) ||
        !pf_config_f32(config, "attention_scale", &scale, error) ||
        !pf_config_f32(config, "rope_base", &base, error))
        return false;
    const char *eps_key = strcmp(norm, "rms") == 0 ? KEY("attention.layer_norm_rms_epsilon")
                                                   : KEY("attention.layer_norm_epsilon");
    return pf_foreign_set_text(layout->to, KEY("norm"), norm, error) &&
           pf_foreign_set_text(layout->to, KEY("activation"), activation, error) &&
           pf_foreign_set_text(layout->to, KEY("position"), position, error) &&
           pf_checkpoint_set_f32(layout->to, eps_key, eps, error) &&
           pf_checkpoint_set_f32(layout->to, KEY("rope.freq_base"), base, error) &&
           (scale == 0 || pf_checkpoint_set_f32(layout->to, KEY("attention.scale"), scale, error));
}

bool pf_foreign_listed(pf_layout *layout, const json_t *config, pf_error *error) {
    if (!json_is_object(json_object_get(config, "tensors")))
        return pf_fail(error, "\"tensors\" of the --config should be an object: {\"GGUF's name\": "
                              "\"the file's name\"}");
    return list_rows(layout, config, false, error) && list_rows(layout, config, true, error) &&
           ignore_listed(layout, config, error) && set_sizes(layout, config, error) &&
           set_kinds(layout, config, error);
}
