/* floor 4.1 - Hugging Face config: the hyperparameters in config.json -> GGUF's keys. */
#include "hf_config.h"

#include "hf_config_private.h"
#include "keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LAYERS (1u << 12)

enum {
    TIED = 1,       /* unless tie_word_embeddings says no */
    ADJACENT = 2,   /* see pf_hf_config */
    GEMMA = 4,      /* plus_one, heads of 256, a field hidden_activation */
    POST_NORMS = 8, /* see pf_hf_config */
    QWEN = 16,
    PHI3 = 32,
};

typedef struct {
    const char *model_type, *architecture; /* of config.json, of GGUF */
    pf_hf_names names;
    pf_hf_sliding sliding;
    unsigned traits;
    const char *activations; /* supported by name; the first is what the family computes */
    const char *norm_eps;    /* the name of the field; without "rms", the norms are LayerNorms */
    double rope_theta, rope_share; /* defaults; 0: no RoPE */
} family;

static const family families[] = {
    {"llama", "llama", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, ADJACENT, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"mistral", "llama", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_MISTRAL, ADJACENT, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"qwen2", "qwen2", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_BY_NUMBER, QWEN, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"qwen3", "qwen3", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_BY_NUMBER, QWEN, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"phi3", "phi3", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_ALL, PHI3, "silu swish", "rms_norm_eps", 1e4,
     1},
    {"gemma", "gemma", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, TIED | GEMMA,
     "gelu_pytorch_tanh gelu_new gelu", "rms_norm_eps", 1e4, 1},
    {"gemma2", "gemma2", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_GEMMA2, TIED | GEMMA | POST_NORMS,
     "gelu_pytorch_tanh gelu_new", "rms_norm_eps", 1e4, 1},
    {"gemma3_text", "gemma3", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_GEMMA3, TIED | GEMMA | POST_NORMS,
     "gelu_pytorch_tanh gelu_new", "rms_norm_eps", 1e6, 1},
    {"granite", "granite", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, ADJACENT, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"olmo2", "olmo2", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, POST_NORMS, "silu swish",
     "rms_norm_eps", 1e4, 1},
    {"smollm3", "smollm3", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_UNROTATED, TIED | ADJACENT, "silu swish",
     "rms_norm_eps", 2e6, 1},
    {"stablelm", "stablelm", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, 0, "silu swish",
     "layer_norm_eps", 1e4, 0.25},
    {"starcoder2", "starcoder2", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_ALL, TIED,
     "gelu_pytorch_tanh gelu_new", "norm_epsilon", 1e4, 1},
    {"phi", "phi2", PF_HF_NAMES_LLAMA, PF_HF_SLIDES_NEVER, 0, "gelu_new gelu_pytorch_tanh",
     "layer_norm_eps", 1e4, 0.5},
    {"gpt_neox", "gptneox", PF_HF_NAMES_GPT_NEOX, PF_HF_SLIDES_NEVER, 0, "gelu", "layer_norm_eps",
     1e4, 0.25},
    {"gpt_neo", "gptneo", PF_HF_NAMES_GPT_NEO, PF_HF_SLIDES_GPT_NEO, TIED,
     "gelu_new gelu_pytorch_tanh gelu relu", "layer_norm_epsilon", 0, 0},
    {"opt", "opt", PF_HF_NAMES_OPT, PF_HF_SLIDES_NEVER, TIED,
     "relu gelu gelu_new gelu_pytorch_tanh", "", 0, 0},
    {"gpt2", "gpt2", PF_HF_NAMES_GPT2, PF_HF_SLIDES_NEVER, TIED,
     "gelu_new gelu_pytorch_tanh gelu relu", "layer_norm_epsilon", 0, 0},
};
#define N_FAMILIES (sizeof families / sizeof *families)

/* ---- families like llama ---- */

static bool read_heads(const pf_hf_reader *r, const family *f, uint32_t width, uint32_t context,
                       pf_hf_config *result) {
    uint32_t head_dim;
    if (!pf_hf_take_size(r, "num_attention_heads", "attention.head_count", &result->n_heads))
        return false;
    result->n_kv_heads = result->n_heads;
    head_dim = width % result->n_heads == 0 ? width / result->n_heads : 0;
    if (f->traits & GEMMA) head_dim = 256;
    if (!pf_hf_take_size(r, "num_key_value_heads", "attention.head_count_kv",
                         &result->n_kv_heads) ||
        !pf_hf_take_size(r, "head_dim", "attention.key_length", &head_dim))
        return false;
    if (head_dim % 2 != 0)
        return pf_fail(r->error,
                       "RoPE rotates pairs, but the heads have %u dimensions, an odd number",
                       head_dim);
    const pf_hf_rope rope = {.head_dim = head_dim,
                             .context = context,
                             .theta = f->rope_theta,
                             .sliding_theta = f->sliding == PF_HF_SLIDES_GEMMA3 ? 1e4 : 0,
                             .share = f->rope_share,
                             .adjacent = result->adjacent,
                             .phi3 = (f->traits & PHI3) != 0};
    return pf_hf_set_size(r, "attention.value_length", head_dim) && pf_hf_read_rope(r, &rope);
}

/* LayerNorms have a default, which RMS norms of most families have not. */
static bool read_norm(const pf_hf_reader *r, const char *field) {
    bool rms = strncmp(field, "rms", 3) == 0;
    double eps = rms ? 0 : 1e-5;
    return (!*field || pf_hf_positive(r, r->config, field, &eps)) &&
           pf_hf_set_float(
               r, rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", eps);
}

/* Of gemma: a null means none, but a missing field has a default. */
static bool set_cap(const pf_hf_reader *r, const char *field, const char *key, double otherwise) {
    double cap = otherwise;
    bool absent = !json_object_get(r->config, field);
    if (absent ? otherwise == 0 : !pf_hf_field(r->config, field)) return true;
    return pf_hf_positive(r, r->config, field, &cap) && pf_hf_set_float(r, key, cap);
}

static bool read_gemma(const pf_hf_reader *r, pf_hf_sliding sliding) {
    double scalar = 256;
    bool two = sliding == PF_HF_SLIDES_GEMMA2;
    if (pf_hf_true(r, "use_bidirectional_attention", false))
        return pf_fail(r->error, "use_bidirectional_attention in config.json is not supported");
    if (sliding == PF_HF_SLIDES_NEVER) return true; /* the first gemma */
    return pf_hf_positive(r, r->config, "query_pre_attn_scalar", &scalar) &&
           pf_hf_set_float(r, "attention.scale", 1 / sqrt(scalar)) &&
           set_cap(r, "attn_logit_softcapping", "attn_logit_softcapping", two ? 50 : 0) &&
           set_cap(r, "final_logit_softcapping", "final_logit_softcapping", two ? 30 : 0);
}

static bool read_granite(const pf_hf_reader *r) {
    static const char *const names[][2] = {{"embedding_multiplier", "embedding_scale"},
                                           {"residual_multiplier", "residual_scale"},
                                           {"logits_scaling", "logit_scale"},
                                           {"attention_multiplier", "attention.scale"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double value = 1;
        if (!pf_hf_positive(r, r->config, names[i][0], &value) ||
            !pf_hf_set_float(r, names[i][1], value))
            return false;
    }
    return true;
}

/* Every fourth layer has no RoPE; GGUF cannot say otherwise. */
static bool check_smollm3(const pf_hf_reader *r, uint32_t n_layers) {
    const json_t *list = pf_hf_field(r->config, "no_rope_layers");
    uint32_t interval = 4;
    if (!list && !pf_hf_size(r, r->config, "no_rope_layer_interval", &interval)) return false;
    bool usual = interval == 4 && (!list || json_array_size(list) == n_layers);
    for (uint32_t i = 0; list && usual && i < n_layers; i++)
        usual = (json_integer_value(json_array_get(list, i)) != 0) == (i % 4 != 3);
    return usual || pf_fail(r->error,
                            "config.json (no_rope_layers) rotates other layers than three of four, "
                            "which is not supported");
}

static bool read_parts(const pf_hf_reader *r, const family *f, uint32_t n_layers) {
    if (f->traits & GEMMA) return read_gemma(r, f->sliding);
    if (strcmp(f->model_type, "granite") == 0) return read_granite(r);
    if (strcmp(f->model_type, "smollm3") == 0) return check_smollm3(r, n_layers);
    if (f->names == PF_HF_NAMES_GPT_NEOX)
        return pf_hf_set_bool(r, "use_parallel_residual",
                              pf_hf_true(r, "use_parallel_residual", true));
    if (pf_hf_true(r, "use_parallel_residual", false) || pf_hf_true(r, "qk_layernorm", false))
        return pf_fail(r->error, "config.json asks for use_parallel_residual or qk_layernorm; "
                                 "neither is supported for this family");
    return true;
}

static bool check_layers(const pf_hf_reader *r, uint32_t n_layers) {
    return n_layers <= MAX_LAYERS ||
           pf_fail(r->error, "config.json asks for %u layers; at most %u are supported", n_layers,
                   MAX_LAYERS);
}

static bool read_llama(const pf_hf_reader *r, const family *f, pf_hf_config *result) {
    uint32_t width = 0, hidden = 0, context = 0;
    const char *activation;
    /* gemma's hidden_act says "gelu" in older files, and means the form by tanh all the same */
    bool gemma = f->traits & GEMMA;
    return pf_hf_name(r, "hidden_act", gemma ? "gelu_pytorch_tanh gelu_new gelu" : f->activations,
                      &activation) &&
           (!gemma || pf_hf_name(r, "hidden_activation", f->activations, &activation)) &&
           pf_hf_take_size(r, "max_position_embeddings", "context_length", &context) &&
           pf_hf_take_size(r, "hidden_size", "embedding_length", &width) &&
           pf_hf_take_size(r, "intermediate_size", "feed_forward_length", &hidden) &&
           pf_hf_take_size(r, "num_hidden_layers", "block_count", &result->n_layers) &&
           check_layers(r, result->n_layers) && read_norm(r, f->norm_eps) &&
           read_heads(r, f, width, context, result) && read_parts(r, f, result->n_layers) &&
           pf_hf_read_windows(r, f->sliding, result->n_layers);
}

/* ---- families with learned positions: gpt2, gpt_neo, opt ---- */

/* Sets the key `activation` unless it is the family's first. */
static bool read_activation(const pf_hf_reader *r, const family *f) {
    const char *name;
    if (!pf_hf_name(r, "activation_function", f->activations, &name)) return false;
    if (!name || strncmp(name, "gelu_", 5) == 0) name = "gelu_tanh";
    bool relu = strncmp(f->activations, "relu", 4) == 0; /* of opt */
    if (!pf_hf_field(r->config, "activation_function") || (!relu && strcmp(name, "gelu_tanh") == 0))
        return true;
    return pf_hf_set_text(r, "activation", name);
}

static bool check_learned(const pf_hf_reader *r, const family *f, uint32_t width) {
    uint32_t projected = width;
    if (!pf_hf_true(r, "scale_attn_weights", true) ||
        pf_hf_true(r, "scale_attn_by_inverse_layer_idx", false) ||
        pf_hf_true(r, "add_cross_attention", false))
        return pf_fail(r->error,
                       "config.json asks for another scale of the attention scores, or for "
                       "cross-attention; neither is supported");
    if (f->names != PF_HF_NAMES_OPT) return true;
    if (!pf_hf_size(r, r->config, "word_embed_proj_dim", &projected)) return false;
    return (projected == width && pf_hf_true(r, "do_layer_norm_before", true) &&
            !pf_hf_true(r, "_remove_final_layer_norm", false)) ||
           pf_fail(r->error, "an OPT model whose embeddings are projected, or with norms after its "
                             "blocks (OPT 350M; word_embed_proj_dim, do_layer_norm_before in "
                             "config.json), is not supported");
}

/* What gpt2, gpt_neo and opt call the same things. */
typedef struct {
    const char *context, *width, *hidden, *layers, *heads;
} learned_names;

static bool read_learned(const pf_hf_reader *r, const family *f, pf_hf_config *result) {
    static const learned_names known[] = {
        [PF_HF_NAMES_GPT2] = {"n_positions", "n_embd", "n_inner", "n_layer", "n_head"},
        [PF_HF_NAMES_GPT_NEO] = {"max_position_embeddings", "hidden_size", "intermediate_size",
                                 "num_layers", "num_heads"},
        [PF_HF_NAMES_OPT] = {"max_position_embeddings", "hidden_size", "ffn_dim",
                             "num_hidden_layers", "num_attention_heads"}};
    const learned_names *names = &known[f->names];
    uint32_t width = 0, hidden, context = 0;
    bool old = f->names == PF_HF_NAMES_GPT2 && !pf_hf_field(r->config, names->context);
    if (!read_activation(r, f) ||
        !pf_hf_take_size(r, old ? "n_ctx" : names->context, "context_length", &context) ||
        !pf_hf_take_size(r, names->width, "embedding_length", &width) ||
        !check_learned(r, f, width))
        return false;
    hidden = width <= (1u << 24) ? 4 * width : width;
    if (!pf_hf_take_size(r, names->hidden, "feed_forward_length", &hidden) ||
        !pf_hf_take_size(r, names->layers, "block_count", &result->n_layers) ||
        !pf_hf_take_size(r, names->heads, "attention.head_count", &result->n_heads))
        return false;
    result->n_kv_heads = result->n_heads;
    bool unscaled = f->names == PF_HF_NAMES_GPT_NEO;
    return check_layers(r, result->n_layers) && read_norm(r, f->norm_eps) &&
           (!unscaled || pf_hf_set_float(r, "attention.scale", 1)) &&
           pf_hf_read_windows(r, f->sliding, result->n_layers);
}

/* ---- the file ---- */

static const family *find_family(const json_t *config, pf_error *error) {
    char supported[256] = "";
    const char *name = json_string_value(pf_hf_field(config, "model_type"));
    for (size_t i = 0; i < N_FAMILIES; i++) {
        size_t used = strlen(supported);
        if (name && strcmp(name, families[i].model_type) == 0) return &families[i];
        snprintf(supported + used, sizeof supported - used, "%s%s", i ? ", " : "",
                 families[i].model_type);
    }
    pf_fail(error, "the model_type \"%.40s\" in config.json is not supported; supported: %s",
            name ? name : "?", supported);
    return NULL;
}

static bool refuse_extensions(const json_t *config, pf_error *error) {
    static const char *const experts[] = {"num_experts", "num_local_experts", "n_routed_experts"};
    if (pf_hf_field(config, "quantization_config"))
        return pf_fail(error,
                       "the weights are quantised (quantization_config in config.json), which is "
                       "not supported; convert the original model with --type q8_0 or q4_0");
    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++)
        if (json_integer_value(pf_hf_field(config, experts[i])) > 0)
            return pf_fail(error, "a mixture of experts (%s in config.json) is not supported",
                           experts[i]);
    return true;
}

bool pf_hf_config_read(const json_t *config, pf_checkpoint *checkpoint, pf_hf_config *result,
                       pf_error *error) {
    const family *f = find_family(config, error);
    if (!f || !refuse_extensions(config, error)) return false;
    const pf_hf_reader r = {config, checkpoint, f->architecture, error};
    *result = (pf_hf_config){.names = f->names,
                             .tied = pf_hf_true(&r, "tie_word_embeddings", f->traits & TIED),
                             .adjacent = f->traits & ADJACENT,
                             .plus_one = f->traits & GEMMA,
                             .post_norms = f->traits & POST_NORMS,
                             .qwen = f->traits & QWEN};
    bool learned = f->rope_share == 0;
    return pf_checkpoint_set_text(checkpoint, "general.architecture", f->architecture,
                                  strlen(f->architecture), error) &&
           (learned ? read_learned(&r, f, result) : read_llama(&r, f, result));
}

/* ---- the other way ---- */

bool pf_hf_config_of(const pf_checkpoint *checkpoint, pf_hf_config *result, pf_error *error) {
    pf_text name = {"", 0};
    *result = (pf_hf_config){.n_layers = 0};
    if (!pf_checkpoint_get_text(checkpoint, "general.architecture", &name, error)) return false;
    for (size_t i = 0; i < N_FAMILIES; i++) {
        const family *f = &families[i];
        if (strlen(f->architecture) != name.size ||
            memcmp(f->architecture, name.bytes, name.size) != 0)
            continue;
        result->names = f->names;
        result->adjacent = (f->traits & ADJACENT) != 0;
        result->plus_one = (f->traits & GEMMA) != 0;
        result->post_norms = (f->traits & POST_NORMS) != 0;
        pf_keys keys = {checkpoint, f->architecture, error};
        if (!pf_keys_u32(&keys, "block_count", &result->n_layers) ||
            !pf_keys_u32(&keys, "attention.head_count", &result->n_heads))
            return false;
        result->n_kv_heads = result->n_heads;
        return pf_keys_u32(&keys, "attention.head_count_kv", &result->n_kv_heads) &&
               ((result->n_layers <= MAX_LAYERS && result->n_heads > 0 && result->n_kv_heads > 0) ||
                pf_fail(error, "the model does not say how many layers and heads it has"));
    }
    return pf_fail(
        error,
        "Hugging Face's names for the family \"%.*s\" are not known; convert the adapter "
        "with llama.cpp's convert_lora_to_gguf.py",
        (int)(name.size < 40 ? name.size : 40), name.bytes);
}
