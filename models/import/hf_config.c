/* floor 4.1 - Hugging Face config: the hyperparameters in config.json -> GGUF's keys. */
#include "hf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const families[] = {[PF_HF_LLAMA] = "llama",
                                       [PF_HF_QWEN2] = "qwen2",
                                       [PF_HF_QWEN3] = "qwen3",
                                       [PF_HF_GPT2] = "gpt2"};
#define N_FAMILIES (sizeof families / sizeof *families)

#define MAX_SIZE (1u << 28) /* of any field; family.c has tighter limits */
#define MAX_LAYERS (1u << 12)

typedef struct {
    const json_t *config;
    pf_checkpoint *checkpoint;
    const char *family; /* without the dot: the prefix of its keys */
    pf_error *error;
} reader;

/* ---- fields ---- */

/* NULL if the field is absent or null. */
static const json_t *field(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* A size from 1 to MAX_SIZE. *value is the default for an absent field; 0 means that it is
 * required. */
static bool get_size(const reader *r, const char *name, uint32_t *value) {
    const json_t *found = field(r->config, name);
    json_int_t number = found ? json_integer_value(found) : (json_int_t)*value;
    if (!found && *value == 0) return pf_fail(r->error, "config.json has no \"%s\"", name);
    if ((found && !json_is_integer(found)) || number < 1 || number > MAX_SIZE)
        return pf_fail(r->error, "\"%s\" in config.json should be a whole number from 1 to %u",
                       name, MAX_SIZE);
    *value = (uint32_t)number;
    return true;
}

/* A finite number above 0. *value is the default in the same way. */
static bool get_positive(const reader *r, const json_t *object, const char *name, double *value) {
    const json_t *found = field(object, name);
    if (!found && *value == 0) return pf_fail(r->error, "config.json has no \"%s\"", name);
    double number = found ? json_number_value(found) : *value;
    if ((found && !json_is_number(found)) || !(number > 0) || !isfinite((float)number) ||
        (float)number == 0)
        return pf_fail(r->error, "\"%s\" in config.json should be a finite number above 0", name);
    *value = number;
    return true;
}

static bool is_true(const reader *r, const char *name, bool otherwise) {
    const json_t *found = field(r->config, name);
    return found ? json_is_true(found) : otherwise;
}

/* Fails if the field is there but is not one of the supported names, which are separated by
 * spaces. */
static bool check_name(const reader *r, const char *name, const char *supported,
                       const char **found) {
    const char *text = json_string_value(field(r->config, name));
    size_t n = text ? strlen(text) : 0;
    *found = text;
    if (!field(r->config, name)) return true;
    for (const char *at = supported; n > 0 && (at = strstr(at, text)); at += n)
        if ((at == supported || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) return true;
    return pf_fail(r->error,
                   "\"%s\" in config.json is \"%.40s\", which is not supported; supported: %s",
                   name, text ? text : "?", supported);
}

/* ---- keys ---- */

typedef struct {
    char text[96];
} key_name;

static key_name key(const reader *r, const char *name) {
    key_name full;
    snprintf(full.text, sizeof full.text, "%s.%s", r->family, name);
    return full;
}

static bool set_size(const reader *r, const char *name, uint32_t value) {
    return pf_checkpoint_set_u32(r->checkpoint, key(r, name).text, value, r->error);
}

static bool set_float(const reader *r, const char *name, double value) {
    return pf_checkpoint_set_f32(r->checkpoint, key(r, name).text, (float)value, r->error);
}

static bool set_text(const reader *r, const char *name, const char *value) {
    return pf_checkpoint_set_text(r->checkpoint, key(r, name).text, value, strlen(value), r->error);
}

/* Reads a size by its name in config.json and sets GGUF's key. */
static bool take_size(const reader *r, const char *name, const char *target, uint32_t *value) {
    return get_size(r, name, value) && set_size(r, target, *value);
}

/* ---- RoPE ---- */

/* Llama 3.1's RoPE scaling, as the number by which a pair's angle is divided: `factor` for long
 * wavelengths, 1 for short ones, a blend of both in between.
 * Source: apply_scaling in https://github.com/meta-llama/llama-models */
static float llama3_factor(double wavelength, double factor, double low, double high,
                           double context) {
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return (float)factor;
    double smooth = (context / wavelength - low) / (high - low);
    return (float)(1 / ((1 - smooth) / factor + smooth));
}

static bool add_llama3(const reader *r, const json_t *scaling, double base, uint32_t rotated) {
    double factor = 0, low = 0, high = 0, context = 0;
    uint64_t pairs = rotated / 2;
    if (!get_positive(r, scaling, "factor", &factor) ||
        !get_positive(r, scaling, "low_freq_factor", &low) ||
        !get_positive(r, scaling, "high_freq_factor", &high) ||
        !get_positive(r, scaling, "original_max_position_embeddings", &context))
        return false;
    if (high <= low)
        return pf_fail(r->error, "high_freq_factor in config.json should be above low_freq_factor");
    size_t bytes = (size_t)pairs * sizeof(float);
    float *factors = pf_checkpoint_alloc(r->checkpoint, bytes, "RoPE factors", r->error);
    if (!factors) return false;
    for (uint64_t i = 0; i < pairs; i++) {
        double angle = pow(base, -2.0 * (double)i / rotated); /* per position */
        factors[i] = llama3_factor(2 * 3.14159265358979323846 / angle, factor, low, high, context);
    }
    return pf_checkpoint_add_tensor(r->checkpoint, "rope_freqs.weight", PF_F32, 1, &pairs, factors,
                                    bytes, r->error);
}

/* transformers 5 calls it "rope_parameters"; versions up to 4, "rope_scaling". */
static bool read_rope(const reader *r, uint32_t head_dim) {
    const json_t *scaling = field(r->config, "rope_parameters");
    double base = 10000, factor = 0;
    if (!scaling) scaling = field(r->config, "rope_scaling");
    if (!get_positive(r, r->config, "rope_theta", &base) ||
        !get_positive(r, scaling, "rope_theta", &base) || !set_float(r, "rope.freq_base", base) ||
        !set_size(r, "rope.dimension_count", head_dim))
        return false;
    const json_t *named = field(scaling, "rope_type");
    const char *type = json_string_value(named ? named : field(scaling, "type"));
    if (!scaling || (type && strcmp(type, "default") == 0)) return true;
    if (type && strcmp(type, "llama3") == 0) return add_llama3(r, scaling, base, head_dim);
    if (type && strcmp(type, "linear") == 0)
        return get_positive(r, scaling, "factor", &factor) &&
               set_text(r, "rope.scaling.type", "linear") &&
               set_float(r, "rope.scaling.factor", factor);
    return pf_fail(r->error,
                   "RoPE scaling of type \"%.40s\" is not supported; supported: default, linear "
                   "and llama3",
                   type ? type : "?");
}

/* ---- families like llama, and gpt2 ---- */

static bool read_heads(const reader *r, uint32_t width, pf_hf_config *result) {
    uint32_t head_dim;
    if (!take_size(r, "num_attention_heads", "attention.head_count", &result->n_heads))
        return false;
    result->n_kv_heads = result->n_heads;
    head_dim = width % result->n_heads == 0 ? width / result->n_heads : 0;
    if (!take_size(r, "num_key_value_heads", "attention.head_count_kv", &result->n_kv_heads) ||
        !take_size(r, "head_dim", "attention.key_length", &head_dim))
        return false;
    if (head_dim % 2 != 0)
        return pf_fail(r->error,
                       "RoPE rotates pairs, but the heads have %u dimensions, an odd number",
                       head_dim);
    return set_size(r, "attention.value_length", head_dim) && read_rope(r, head_dim);
}

static bool has_sliding_layers(const reader *r) {
    size_t i;
    json_t *kind;
    json_array_foreach(field(r->config, "layer_types"), i, kind) {
        const char *text = json_string_value(kind);
        if (text && strcmp(text, "sliding_attention") == 0) return true;
    }
    return is_true(r, "use_sliding_window", false);
}

static bool read_window(const reader *r) {
    uint32_t window = 0;
    return !has_sliding_layers(r) || !field(r->config, "sliding_window") ||
           take_size(r, "sliding_window", "attention.sliding_window", &window);
}

static bool read_llama(const reader *r, pf_hf_config *result) {
    uint32_t width = 0, hidden = 0, context = 0;
    double eps = 0;
    const char *activation;
    result->tied = is_true(r, "tie_word_embeddings", false);
    return check_name(r, "hidden_act", "silu swish", &activation) &&
           take_size(r, "max_position_embeddings", "context_length", &context) &&
           take_size(r, "hidden_size", "embedding_length", &width) &&
           take_size(r, "intermediate_size", "feed_forward_length", &hidden) &&
           take_size(r, "num_hidden_layers", "block_count", &result->n_layers) &&
           get_positive(r, r->config, "rms_norm_eps", &eps) &&
           set_float(r, "attention.layer_norm_rms_epsilon", eps) && read_heads(r, width, result) &&
           read_window(r);
}

static bool read_gpt2(const reader *r, pf_hf_config *result) {
    uint32_t width = 0, hidden, context = 0;
    double eps = 1e-5;
    const char *activation;
    result->tied = is_true(r, "tie_word_embeddings", true);
    if (!check_name(r, "activation_function", "gelu_new gelu_pytorch_tanh gelu relu", &activation))
        return false;
    if (activation && strncmp(activation, "gelu_", 5) != 0 &&
        !set_text(r, "activation", activation))
        return false;
    if (!is_true(r, "scale_attn_weights", true) ||
        is_true(r, "scale_attn_by_inverse_layer_idx", false) ||
        is_true(r, "add_cross_attention", false))
        return pf_fail(r->error,
                       "config.json asks for another scale of the attention scores, or for "
                       "cross-attention; neither is supported");
    if (!take_size(r, field(r->config, "n_positions") ? "n_positions" : "n_ctx", "context_length",
                   &context) ||
        !take_size(r, "n_embd", "embedding_length", &width))
        return false;
    hidden = 4 * width;
    if (!take_size(r, "n_inner", "feed_forward_length", &hidden) ||
        !take_size(r, "n_layer", "block_count", &result->n_layers) ||
        !take_size(r, "n_head", "attention.head_count", &result->n_heads))
        return false;
    result->n_kv_heads = result->n_heads;
    return get_positive(r, r->config, "layer_norm_epsilon", &eps) &&
           set_float(r, "attention.layer_norm_epsilon", eps);
}

/* ---- the file ---- */

static bool find_family(const json_t *config, pf_hf_family *family, pf_error *error) {
    const char *name = json_string_value(field(config, "model_type"));
    for (size_t i = 0; name && i < N_FAMILIES; i++) {
        if (strcmp(name, families[i]) != 0) continue;
        *family = (pf_hf_family)i;
        return true;
    }
    return pf_fail(error,
                   "the model_type \"%.40s\" in config.json is not supported; supported: llama, "
                   "qwen2, qwen3 and gpt2",
                   name ? name : "?");
}

static bool refuse_extensions(const json_t *config, pf_error *error) {
    static const char *const experts[] = {"num_experts", "num_local_experts", "n_routed_experts"};
    if (field(config, "quantization_config"))
        return pf_fail(error,
                       "the weights are quantised (quantization_config in config.json), which is "
                       "not supported; convert the original model with --type q8_0 or q4_0");
    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++)
        if (json_integer_value(field(config, experts[i])) > 0)
            return pf_fail(error, "a mixture of experts (%s in config.json) is not supported",
                           experts[i]);
    if (field(config, "partial_rotary_factor") &&
        json_number_value(field(config, "partial_rotary_factor")) != 1)
        return pf_fail(error,
                       "a partial_rotary_factor other than 1 in config.json is not supported");
    return true;
}

bool pf_hf_config_read(const json_t *config, pf_checkpoint *checkpoint, pf_hf_config *result,
                       pf_error *error) {
    *result = (pf_hf_config){.n_layers = 0};
    if (!find_family(config, &result->family, error) || !refuse_extensions(config, error))
        return false;
    const char *name = families[result->family];
    const reader r = {config, checkpoint, name, error};
    if (!pf_checkpoint_set_text(checkpoint, "general.architecture", name, strlen(name), error) ||
        !(result->family == PF_HF_GPT2 ? read_gpt2(&r, result) : read_llama(&r, result)))
        return false;
    if (result->n_layers > MAX_LAYERS)
        return pf_fail(error, "config.json asks for %u layers; at most %u are supported",
                       result->n_layers, MAX_LAYERS);
    return true;
}
