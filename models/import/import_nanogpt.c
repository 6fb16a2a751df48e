/* floor 4.2 - import nanoGPT: {'model': state_dict, 'model_args': {...}} -> the family gpt2.
 *
 * Matrices are those of torch.nn.Linear, [out, in], so nothing is transposed. A model trained with
 * bias=False gets biases of zero, which the family gpt2 requires. nanoGPT computes the exact GELU,
 * set as gpt2.activation; for a model of an early version, which had the tanh approximation, use
 * --config {"activation": "gelu_tanh"}. */
#include "import_projects.h"

#include <stdio.h>
#include <string.h>

#define LAYER "transformer.h.{layer}."
#define BLOCK "blk.{layer}."

static const pf_tensor_name rows[] = {
    {"token_embd.weight", "transformer.wte.weight"},
    {"position_embd.weight", "transformer.wpe.weight"},
    {BLOCK "attn_norm.weight", LAYER "ln_1.weight"},
    {BLOCK "attn_norm.bias", LAYER "ln_1.bias"},
    {BLOCK "attn_qkv.weight", LAYER "attn.c_attn.weight"},
    {BLOCK "attn_qkv.bias", LAYER "attn.c_attn.bias"},
    {BLOCK "attn_output.weight", LAYER "attn.c_proj.weight"},
    {BLOCK "attn_output.bias", LAYER "attn.c_proj.bias"},
    {BLOCK "ffn_norm.weight", LAYER "ln_2.weight"},
    {BLOCK "ffn_norm.bias", LAYER "ln_2.bias"},
    {BLOCK "ffn_up.weight", LAYER "mlp.c_fc.weight"},
    {BLOCK "ffn_up.bias", LAYER "mlp.c_fc.bias"},
    {BLOCK "ffn_down.weight", LAYER "mlp.c_proj.weight"},
    {BLOCK "ffn_down.bias", LAYER "mlp.c_proj.bias"},
    {"output_norm.weight", "transformer.ln_f.weight"},
    {"output_norm.bias", "transformer.ln_f.bias"},
};
static const pf_tensor_name untied = {"output.weight", "lm_head.weight"};

static bool make_zeros(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    (void)context;
    (void)error;
    memset(out, 0, tensor->bytes);
    return true;
}

static bool need_bias(pf_tensor_names *names, const char *name, uint64_t n, pf_error *error) {
    return pf_checkpoint_find(names->to, name) ||
           pf_checkpoint_add_made_tensor(names->to, name, PF_F32, 1, &n, (size_t)n * sizeof(float),
                                         make_zeros, NULL, error);
}

/* Adds zeros for the biases that a model trained with bias=False lacks. */
static bool need_biases(pf_tensor_names *names, uint64_t C, uint64_t F, pf_error *error) {
    const struct {
        const char *name;
        uint64_t n;
    } biases[] = {{"attn_norm", C}, {"attn_qkv", 3 * C}, {"attn_output", C},
                  {"ffn_norm", C},  {"ffn_up", F},       {"ffn_down", C}};
    for (uint32_t l = 0; l < names->n_layers; l++)
        for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s.bias", l, biases[i].name);
            if (!need_bias(names, name, biases[i].n, error)) return false;
        }
    return need_bias(names, "output_norm.bias", C, error);
}

static bool set_keys(const pf_tensor_names *names, const json_t *config, uint64_t C, uint64_t F,
                     pf_error *error) {
    uint32_t heads = 0;
    float eps = 1e-5f;
    const char *activation = "gelu";
    if (!pf_import_u32(names, "model_args.n_head", &heads, error) ||
        !pf_config_u32(config, "n_head", &heads, error) ||
        !pf_config_f32(config, "norm_eps", &eps, error) ||
        !pf_config_text(config, "activation", &activation, error))
        return false;
    if (heads == 0)
        return pf_fail(error, "the file does not say how many heads the model has; set "
                              "{\"n_head\": N} with --config FILE.json");
    const pf_import_size sizes[] = {
        {"context_length", pf_import_axis(names, "transformer.wpe.weight", 1)},
        {"embedding_length", C},
        {"block_count", names->n_layers},
        {"feed_forward_length", F},
        {"attention.head_count", heads},
    };
    return pf_import_set_sizes(names->to, "gpt2", sizes, sizeof sizes / sizeof *sizes, error) &&
           pf_checkpoint_set_f32(names->to, "gpt2.attention.layer_norm_epsilon", eps, error) &&
           pf_import_set_text(names->to, "gpt2.activation", activation, error);
}

bool pf_import_nanogpt(pf_tensor_names *names, const json_t *config, pf_error *error) {
    names->n_layers = pf_tensor_names_count(names, LAYER "attn.c_attn.weight");
    pf_tensor_names_ignore(names, LAYER "attn.bias"); /* the causal mask */
    pf_tensor_names_ignore(names, LAYER "attn.masked_bias");
    uint64_t C = pf_import_axis(names, "transformer.wte.weight", 0);
    uint64_t F = pf_import_axis(names, "transformer.h.0.mlp.c_fc.weight", 1);
    uint64_t fused = pf_import_axis(names, "transformer.h.0.attn.c_attn.weight", 1);
    if (C > UINT32_MAX || F > UINT32_MAX || fused != 3 * C)
        return pf_fail(error,
                       "transformer.h.0.attn.c_attn.weight does not have three times the width "
                       "(%llu) in rows, as nanoGPT's has; for a GPT-2 of Hugging Face, give the "
                       "folder instead",
                       (unsigned long long)C);
    const pf_tensor *embedding = pf_tensor_names_find(names, "transformer.wte.weight");
    const pf_tensor *output = pf_tensor_names_find(names, "lm_head.weight");
    bool tied = output && pf_import_same(embedding, output);
    if (tied) pf_tensor_names_ignore(names, "lm_head.weight");
    return set_keys(names, config, C, F, error) &&
           pf_tensor_names_take(names, rows, sizeof rows / sizeof *rows, error) &&
           (tied || pf_tensor_names_take(names, &untied, 1, error)) &&
           need_biases(names, C, F, error);
}
