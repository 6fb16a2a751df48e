/* floor 4.2 - import listed: a decoder whose --config lists its tensors -> the family performer. */
#include "import_projects.h"

#include <stdio.h>
#include <string.h>

#define KEY(name) "performer." name

static bool list_rows(pf_tensor_names *names, const json_t *config, bool take, pf_error *error) {
    const char *target;
    json_t *source;
    json_t *tensors = json_object_get(config, "tensors");
    json_object_foreach(tensors, target, source) {
        if (!json_is_string(source))
            return pf_fail(error,
                           "\"tensors\" in the --config: %.80s should be a string, the name of a "
                           "tensor in the file",
                           target);
        pf_tensor_name row = {target, json_string_value(source)};
        uint32_t n = strstr(row.source, "{layer}") ? pf_tensor_names_count(names, row.source) : 0;
        if (n > names->n_layers) names->n_layers = n;
        if (take && !pf_tensor_names_take(names, &row, 1, error)) return false;
    }
    return true;
}

static bool ignore_listed(pf_tensor_names *names, const json_t *config, pf_error *error) {
    size_t i;
    json_t *source, *ignored = json_object_get(config, "ignore");
    if (ignored && !json_is_array(ignored))
        return pf_fail(error, "\"ignore\" in the --config should be a list of tensor names");
    json_array_foreach(ignored, i, source) {
        if (!json_is_string(source))
            return pf_fail(
                error,
                "\"ignore\" in the --config should contain only strings, the names of tensors");
        pf_tensor_names_ignore(names, json_string_value(source));
    }
    return true;
}

static uint64_t axis(const pf_tensor_names *names, const char *target, int i) {
    const pf_tensor *tensor = pf_checkpoint_find(names->to, target);
    return tensor ? tensor->shape[i] : 0;
}

static bool set_sizes(const pf_tensor_names *names, const json_t *config, pf_error *error) {
    uint64_t C = axis(names, "token_embd.weight", 0);
    uint32_t heads = 0, dim_head = 0, kv_heads = 0;
    uint32_t context = (uint32_t)axis(names, "position_embd.weight", 1);
    if (!pf_config_u32(config, "heads", &heads, error) ||
        !pf_config_u32(config, "dim_head", &dim_head, error) ||
        !pf_config_u32(config, "kv_heads", &kv_heads, error) ||
        !pf_config_u32(config, "context", &context, error))
        return false;
    if (heads && !dim_head) dim_head = (uint32_t)(axis(names, "blk.0.attn_q.weight", 1) / heads);
    if (dim_head && !kv_heads)
        kv_heads = (uint32_t)(axis(names, "blk.0.attn_k.weight", 1) / dim_head);
    const pf_import_size sizes[] = {
        {"context_length", context},
        {"embedding_length", C},
        {"block_count", names->n_layers},
        {"feed_forward_length", axis(names, "blk.0.ffn_down.weight", 0)},
        {"attention.head_count", heads},
        {"attention.head_count_kv", kv_heads},
        {"attention.key_length", dim_head},
    };
    return pf_import_set_sizes(names->to, "performer", sizes, sizeof sizes / sizeof *sizes, error);
}

static bool set_kinds(const pf_tensor_names *names, const json_t *config, pf_error *error) {
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
    return pf_import_set_text(names->to, KEY("norm"), norm, error) &&
           pf_import_set_text(names->to, KEY("activation"), activation, error) &&
           pf_import_set_text(names->to, KEY("position"), position, error) &&
           pf_checkpoint_set_f32(names->to, eps_key, eps, error) &&
           pf_checkpoint_set_f32(names->to, KEY("rope.freq_base"), base, error) &&
           (scale == 0 || pf_checkpoint_set_f32(names->to, KEY("attention.scale"), scale, error));
}

bool pf_import_listed(pf_tensor_names *names, const json_t *config, pf_error *error) {
    if (!json_is_object(json_object_get(config, "tensors")))
        return pf_fail(error, "\"tensors\" in the --config should be an object: {\"GGUF's name\": "
                              "\"the file's name\"}");
    return list_rows(names, config, false, error) && list_rows(names, config, true, error) &&
           ignore_listed(names, config, error) && set_sizes(names, config, error) &&
           set_kinds(names, config, error);
}
