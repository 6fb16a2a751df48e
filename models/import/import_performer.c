/* floor 4.2 - import performer-pytorch: a PerformerLM's state_dict -> the family performer.
 *
 * --config gives the arguments of its constructor. The model: pre-norm LayerNorm; exact GELU;
 * fixed or learned positions added to the embeddings, and rotary ones (adjacent pairs, base
 * 10000) applied to q and k before the feature map; one projection per layer, which its heads
 * share; 1e-4 added to every feature after the exponential. See docs/favor.md,
 * "performer-pytorch checkpoints". */
#include "import_projects.h"

#include "attention_metadata.h"
#include "memory.h"

#include <math.h>
#include <stdio.h>

#define ATTENTION "performer.net.layers.{layer}.0."
#define MLP "performer.net.layers.{layer}.1."
#define FIRST "performer.net.layers.0."
#define BLOCK "blk.{layer}."

static const pf_tensor_name rows[] = {
    {"token_embd.weight", "token_emb.weight"},
    {"position_embd.weight", "pos_emb.emb"},
    {"position_embd.weight", "pos_emb.emb.weight"},
    {BLOCK "attn_norm.weight", ATTENTION "norm.weight"},
    {BLOCK "attn_norm.bias", ATTENTION "norm.bias"},
    {BLOCK "attn_q.weight", ATTENTION "fn.to_q.weight"},
    {BLOCK "attn_q.bias", ATTENTION "fn.to_q.bias"},
    {BLOCK "attn_k.weight", ATTENTION "fn.to_k.weight"},
    {BLOCK "attn_k.bias", ATTENTION "fn.to_k.bias"},
    {BLOCK "attn_v.weight", ATTENTION "fn.to_v.weight"},
    {BLOCK "attn_v.bias", ATTENTION "fn.to_v.bias"},
    {BLOCK "attn_output.weight", ATTENTION "fn.to_out.weight"},
    {BLOCK "attn_output.bias", ATTENTION "fn.to_out.bias"},
    {BLOCK "favor.projection", ATTENTION "fn.fast_attention.projection_matrix"},
    {BLOCK "ffn_norm.weight", MLP "norm.weight"},
    {BLOCK "ffn_norm.bias", MLP "norm.bias"},
    {BLOCK "ffn_up.weight", MLP "fn.fn.w1.weight"},
    {BLOCK "ffn_up.bias", MLP "fn.fn.w1.bias"},
    {BLOCK "ffn_down.weight", MLP "fn.fn.w2.weight"},
    {BLOCK "ffn_down.bias", MLP "fn.fn.w2.bias"},
    {"output_norm.weight", "norm.weight"},
    {"output_norm.bias", "norm.bias"},
    {"output.weight", "to_out.weight"},
    {"output.bias", "to_out.bias"},
};

/* Arguments of the constructor that change the model in a way we do not compute. */
static const char *const unsupported[] = {
    "reversible",    "use_scalenorm", "use_rezero",   "cross_attend",
    "no_projection", "ff_glu",        "shift_tokens", "axial_position_emb",
};

static bool check_arguments(const json_t *config, pf_error *error) {
    bool causal = false, other = false;
    uint32_t local = 0;
    if (!config)
        return pf_fail(error, "this is a performer-pytorch model, whose file does not say how it "
                              "was built; give its constructor arguments with --config FILE.json: "
                              "{\"causal\": true, \"heads\": N}");
    if (!pf_config_bool(config, "causal", &causal, error) ||
        !pf_config_u32(config, "local_attn_heads", &local, error))
        return false;
    if (!causal)
        return pf_fail(error, "only causal models can be run, but the --config does not say "
                              "\"causal\": true");
    if (local > 0)
        return pf_fail(error, "%u local attention heads (local_attn_heads) are not supported",
                       local);
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (!pf_config_bool(config, unsupported[i], &other, error)) return false;
        if (other)
            return pf_fail(error, "\"%s\" of performer-pytorch is not supported", unsupported[i]);
    }
    return true;
}

/* layer_pos_emb.emb [positions, D] is cat(sin, cos) of t * 10000^(-2i / D): the angles by which
 * PF_POSITION_ROPE_ADJACENT rotates. */
static bool check_rotary(const pf_tensor_names *names, const pf_tensor *table, pf_error *error) {
    size_t dh = (size_t)table->shape[0], pairs = dh / 2;
    if (table->type != PF_F32 || table->n_dims != 2 || table->shape[1] < 2 || dh % 2 != 0)
        return pf_fail(error, "layer_pos_emb.emb should be float32 [positions, head_dim]");
    if (!pf_checkpoint_need_data(names->from, table, error)) return false;
    const float *row = (const float *)table->data + dh; /* position 1 */
    for (size_t i = 0; i < pairs; i++) {
        double angle = pow(10000, -2.0 * (double)i / (double)dh);
        if (!(fabs((double)row[i] - sin(angle)) < 1e-4) ||
            !(fabs((double)row[pairs + i] - cos(angle)) < 1e-4))
            return pf_fail(
                error, "layer_pos_emb.emb does not hold the angles that performer-pytorch uses");
    }
    return true;
}

static bool set_attention(const pf_tensor_names *names, const json_t *config, pf_error *error) {
    pf_attention_options attention = pf_attention_options_default();
    bool general = false;
    attention.kind = PF_ATTENTION_FAVOR;
    attention.features =
        (uint32_t)pf_import_axis(names, FIRST "0.fn.fast_attention.projection_matrix", 1);
    if (!pf_config_bool(config, "generalized_attention", &general, error)) return false;
    attention.map = general ? PF_MAP_RELU : PF_MAP_POSITIVE;
    attention.epsilon = general ? 1e-3f : 1e-4f;
    if (!pf_config_f32(config, "kernel_epsilon", &attention.epsilon, error)) return false;
    return pf_attention_to_checkpoint(&attention, names->to, error);
}

static bool set_keys(const pf_tensor_names *names, const json_t *config, pf_error *error) {
    uint64_t D = pf_import_axis(names, FIRST "0.fn.fast_attention.projection_matrix", 0);
    uint64_t rows_q = pf_import_axis(names, FIRST "0.fn.to_q.weight", 1);
    uint32_t heads = D ? (uint32_t)(rows_q / D) : 0, context;
    const pf_tensor *positions = pf_tensor_names_find(names, "pos_emb.emb");
    if (!positions) positions = pf_tensor_names_find(names, "pos_emb.emb.weight");
    const pf_tensor *rotary = pf_tensor_names_find(names, "layer_pos_emb.emb");
    context = positions ? (uint32_t)positions->shape[1] : 0;
    if (!pf_config_u32(config, "heads", &heads, error) ||
        !pf_config_u32(config, "max_seq_len", &context, error) ||
        (rotary && !check_rotary(names, rotary, error)))
        return false;
    const pf_import_size sizes[] = {
        {"context_length", context},
        {"embedding_length", pf_import_axis(names, "token_emb.weight", 0)},
        {"block_count", names->n_layers},
        {"feed_forward_length", pf_import_axis(names, FIRST "1.fn.fn.w1.weight", 1)},
        {"attention.head_count", heads},
        {"attention.key_length", D},
    };
    return pf_import_set_sizes(names->to, "performer", sizes, sizeof sizes / sizeof *sizes,
                               error) &&
           pf_checkpoint_set_f32(names->to, "performer.attention.layer_norm_epsilon", 1e-5f,
                                 error) &&
           pf_import_set_text(names->to, "performer.activation", "gelu", error) &&
           pf_import_set_text(names->to, "performer.position", rotary ? "rope_adjacent" : "none",
                              error) &&
           set_attention(names, config, error);
}

bool pf_import_performer(pf_tensor_names *names, const json_t *config, pf_error *error) {
    names->n_layers = pf_tensor_names_count(names, ATTENTION "fn.to_q.weight");
    if (names->n_layers == 0)
        return pf_fail(error, "this PerformerLM lacks the layers of a plain one (reversible=False, "
                              "cross_attend=False)");
    if (!pf_tensor_names_find(names, FIRST "0.fn.fast_attention.projection_matrix"))
        return pf_fail(
            error, "this performer-pytorch file has no projections (" FIRST
                   "0.fn.fast_attention.projection_matrix): old versions of the library did not "
                   "save them, and without them the model's features are not known; save it "
                   "again with a newer version");
    pf_tensor_names_ignore(names, "performer.proj_updater.*"); /* a second copy of the net */
    pf_tensor_names_ignore(names, "performer.calls_since_last_redraw");
    pf_tensor_names_ignore(names, "layer_pos_emb.emb");
    return check_arguments(config, error) && set_keys(names, config, error) &&
           pf_tensor_names_take(names, rows, sizeof rows / sizeof *rows, error);
}
