/* floor 4.2 - import llama2.c: {'model': state_dict, 'model_args': {...}} -> the family llama.
 *
 * The rows of q and k are in the order of adjacent RoPE pairs, as in a .bin, so they stay as they
 * are. The models tales-favor and tales-softmax add 'attention' and 'favor' to this form
 * (read_favor). */
#include "import_projects.h"

#include "attention_metadata.h"

#include <string.h>

#define LAYER "layers.{layer}."
#define BLOCK "blk.{layer}."

static const pf_tensor_name rows[] = {
    {"token_embd.weight", "tok_embeddings.weight"},
    {BLOCK "attn_norm.weight", LAYER "attention_norm.weight"},
    {BLOCK "attn_q.weight", LAYER "attention.wq.weight"},
    {BLOCK "attn_k.weight", LAYER "attention.wk.weight"},
    {BLOCK "attn_v.weight", LAYER "attention.wv.weight"},
    {BLOCK "attn_output.weight", LAYER "attention.wo.weight"},
    {BLOCK "ffn_norm.weight", LAYER "ffn_norm.weight"},
    {BLOCK "ffn_gate.weight", LAYER "feed_forward.w1.weight"},
    {BLOCK "ffn_down.weight", LAYER "feed_forward.w2.weight"},
    {BLOCK "ffn_up.weight", LAYER "feed_forward.w3.weight"},
    {"output_norm.weight", "norm.weight"},
};
static const pf_tensor_name untied = {"output.weight", "output.weight"};
static const pf_tensor_name projection = {BLOCK "favor.projection", "favor.projection.{layer}"};

static bool set_keys(const pf_tensor_names *names, const json_t *config, pf_error *error) {
    uint32_t heads = 0, kv_heads = 0, context = 0;
    float eps = 1e-5f;
    if (!pf_import_u32(names, "model_args.n_heads", &heads, error) ||
        !pf_import_u32(names, "model_args.max_seq_len", &context, error) ||
        !pf_import_f32(names, "model_args.norm_eps", &eps, error) ||
        !pf_config_u32(config, "n_heads", &heads, error) ||
        !pf_config_u32(config, "max_seq_len", &context, error) ||
        !pf_config_f32(config, "norm_eps", &eps, error))
        return false;
    uint64_t C = pf_import_axis(names, "tok_embeddings.weight", 0);
    uint64_t kv = pf_import_axis(names, "layers.0.attention.wk.weight", 1);
    uint64_t D = heads ? C / heads : 0;
    kv_heads = (uint32_t)(D ? kv / D : 0);
    const pf_import_size sizes[] = {
        {"context_length", context},
        {"embedding_length", C},
        {"block_count", names->n_layers},
        {"feed_forward_length", pf_import_axis(names, "layers.0.feed_forward.w1.weight", 1)},
        {"attention.head_count", heads},
        {"attention.head_count_kv", kv_heads},
        {"rope.dimension_count", D},
        {"vocab_size", pf_import_axis(names, "tok_embeddings.weight", 1)},
    };
    return pf_import_set_sizes(names->to, "llama", sizes, sizeof sizes / sizeof *sizes, error) &&
           pf_checkpoint_set_f32(names->to, "llama.attention.layer_norm_rms_epsilon", eps, error) &&
           pf_checkpoint_set_f32(names->to, "llama.rope.freq_base", 10000.0f, error);
}

/* 'attention': 'favor', 'favor': {'features', 'map', 'orthogonal', 'projection': [one per
 * layer]} */
static bool read_favor(pf_tensor_names *names, pf_error *error) {
    pf_attention_options attention = pf_attention_options_default();
    pf_text kind = {NULL, 0}, map = {NULL, 0};
    bool orthogonal = true;
    char name[32] = "";
    if (!pf_checkpoint_get_text(names->from, "attention", &kind, error)) return false;
    if (!kind.bytes) return true;
    if (kind.size < sizeof name) memcpy(name, kind.bytes, kind.size);
    if (!pf_attention_parse(name, &attention.kind))
        return pf_fail(error, "'attention' in the file is \"%s\", which is not a known value",
                       name);
    if (!pf_import_u32(names, "favor.features", &attention.features, error) ||
        !pf_import_f32(names, "favor.epsilon", &attention.epsilon, error) ||
        !pf_checkpoint_get_bool(names->from, "favor.orthogonal", &orthogonal, error) ||
        !pf_checkpoint_get_text(names->from, "favor.map", &map, error))
        return false;
    memset(name, 0, sizeof name);
    if (map.size < sizeof name && map.bytes) memcpy(name, map.bytes, map.size);
    if (map.bytes && !pf_map_parse(name, &attention.map))
        return pf_fail(error, "'map' in the file's 'favor' is \"%s\", which is not a known value",
                       name);
    attention.projection = orthogonal ? PF_PROJECTION_ORTHOGONAL : PF_PROJECTION_IID;
    if (!pf_attention_to_checkpoint(&attention, names->to, error)) return false;

    char prefix[sizeof names->prefix]; /* 'favor' is outside 'model' */
    memcpy(prefix, names->prefix, sizeof prefix);
    names->prefix[0] = '\0';
    bool good = pf_tensor_names_take(names, &projection, 1, error);
    memcpy(names->prefix, prefix, sizeof prefix);
    return good;
}

bool pf_import_llama2c(pf_tensor_names *names, const json_t *config, pf_error *error) {
    names->n_layers = pf_tensor_names_count(names, LAYER "attention.wq.weight");
    pf_tensor_names_ignore(names, "freqs_cos"); /* RoPE tables, which the sizes determine */
    pf_tensor_names_ignore(names, "freqs_sin");
    const pf_tensor *embedding = pf_tensor_names_find(names, "tok_embeddings.weight");
    const pf_tensor *output = pf_tensor_names_find(names, "output.weight");
    bool tied = output && pf_import_same(embedding, output);
    if (tied) pf_tensor_names_ignore(names, "output.weight");
    return set_keys(names, config, error) &&
           pf_tensor_names_take(names, rows, sizeof rows / sizeof *rows, error) &&
           (tied || pf_tensor_names_take(names, &untied, 1, error)) && read_favor(names, error);
}
