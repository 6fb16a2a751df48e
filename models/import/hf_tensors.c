/* floor 4.2 - Hugging Face tensors: their names -> GGUF's, and the order of their values. */
#include "hf_tensors.h"

#include "memory.h"
#include "quant.h"

#include <stdio.h>
#include <string.h>

#define MAX_NAME 256

typedef enum {
    AS_IS,
    WIDEN,     /* to F32 */
    NORM,      /* the same; gemma's weights get 1 added */
    PERMUTE_Q, /* rows of each query head, for RoPE: halves to neighbours; a vector becomes F32 */
    PERMUTE_K, /* the same for each KV head */
    SPLIT_QKV, /* rows of q, k and v of each head: first all of q, then k, then v */
    DROP_TWO,  /* the first two rows are padding */
    TRANSPOSE
} change;

typedef struct {
    const char *target, *source;
    change change;
} row;

#define BLOCK "blk.{layer}."
#define LAYER "layers.{layer}."

/* What a family has not is left out. phi has dense, fc1, fc2; starcoder2 c_fc, c_proj; phi3 fused
 * matrices. */
static const row llama_rows[] = {
    {"token_embd.weight", "embed_tokens.weight", AS_IS},
    {"output_norm.weight", "norm.weight", NORM},
    {"output_norm.bias", "norm.bias", WIDEN},
    {"output_norm.weight", "final_layernorm.weight", NORM},
    {"output_norm.bias", "final_layernorm.bias", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "input_layernorm.weight", NORM},
    {BLOCK "attn_norm.bias", LAYER "input_layernorm.bias", WIDEN},
    {BLOCK "attn_q.weight", LAYER "self_attn.q_proj.weight", PERMUTE_Q},
    {BLOCK "attn_q.bias", LAYER "self_attn.q_proj.bias", PERMUTE_Q},
    {BLOCK "attn_k.weight", LAYER "self_attn.k_proj.weight", PERMUTE_K},
    {BLOCK "attn_k.bias", LAYER "self_attn.k_proj.bias", PERMUTE_K},
    {BLOCK "attn_v.weight", LAYER "self_attn.v_proj.weight", AS_IS},
    {BLOCK "attn_v.bias", LAYER "self_attn.v_proj.bias", WIDEN},
    {BLOCK "attn_qkv.weight", LAYER "self_attn.qkv_proj.weight", AS_IS},
    {BLOCK "attn_q_norm.weight", LAYER "self_attn.q_norm.weight", NORM},
    {BLOCK "attn_k_norm.weight", LAYER "self_attn.k_norm.weight", NORM},
    {BLOCK "attn_output.weight", LAYER "self_attn.o_proj.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "self_attn.o_proj.bias", WIDEN},
    {BLOCK "attn_output.weight", LAYER "self_attn.dense.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "self_attn.dense.bias", WIDEN},
    {BLOCK "ffn_gate.weight", LAYER "mlp.gate_proj.weight", AS_IS},
    {BLOCK "ffn_gate.bias", LAYER "mlp.gate_proj.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.up_proj.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.up_proj.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.down_proj.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.down_proj.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.gate_up_proj.weight", AS_IS},
    {BLOCK "ffn_up.weight", LAYER "mlp.fc1.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.fc1.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.fc2.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.fc2.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.c_fc.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.c_fc.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.c_proj.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.c_proj.bias", WIDEN},
};

/* post_attention_layernorm comes after attention, but in most families it is the MLP's norm. */
static const row llama_norms[] = {
    {BLOCK "ffn_norm.weight", LAYER "post_attention_layernorm.weight", NORM},
    {BLOCK "ffn_norm.bias", LAYER "post_attention_layernorm.bias", WIDEN},
};
static const row llama_post_norms[] = {
    {BLOCK "post_attention_norm.weight", LAYER "post_attention_layernorm.weight", NORM},
    {BLOCK "ffn_norm.weight", LAYER "pre_feedforward_layernorm.weight", NORM},
    {BLOCK "post_ffw_norm.weight", LAYER "post_feedforward_layernorm.weight", NORM},
};

static const row gpt_neox_rows[] = {
    {"token_embd.weight", "embed_in.weight", AS_IS},
    {"output_norm.weight", "final_layer_norm.weight", WIDEN},
    {"output_norm.bias", "final_layer_norm.bias", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "input_layernorm.weight", WIDEN},
    {BLOCK "attn_norm.bias", LAYER "input_layernorm.bias", WIDEN},
    {BLOCK "attn_qkv.weight", LAYER "attention.query_key_value.weight", SPLIT_QKV},
    {BLOCK "attn_qkv.bias", LAYER "attention.query_key_value.bias", SPLIT_QKV},
    {BLOCK "attn_output.weight", LAYER "attention.dense.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "attention.dense.bias", WIDEN},
    {BLOCK "ffn_norm.weight", LAYER "post_attention_layernorm.weight", WIDEN},
    {BLOCK "ffn_norm.bias", LAYER "post_attention_layernorm.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.dense_h_to_4h.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.dense_h_to_4h.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.dense_4h_to_h.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.dense_4h_to_h.bias", WIDEN},
};

static const row opt_rows[] = {
    {"token_embd.weight", "embed_tokens.weight", AS_IS},
    {"position_embd.weight", "embed_positions.weight", DROP_TWO},
    {"output_norm.weight", "final_layer_norm.weight", WIDEN},
    {"output_norm.bias", "final_layer_norm.bias", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "self_attn_layer_norm.weight", WIDEN},
    {BLOCK "attn_norm.bias", LAYER "self_attn_layer_norm.bias", WIDEN},
    {BLOCK "attn_q.weight", LAYER "self_attn.q_proj.weight", AS_IS},
    {BLOCK "attn_q.bias", LAYER "self_attn.q_proj.bias", WIDEN},
    {BLOCK "attn_k.weight", LAYER "self_attn.k_proj.weight", AS_IS},
    {BLOCK "attn_k.bias", LAYER "self_attn.k_proj.bias", WIDEN},
    {BLOCK "attn_v.weight", LAYER "self_attn.v_proj.weight", AS_IS},
    {BLOCK "attn_v.bias", LAYER "self_attn.v_proj.bias", WIDEN},
    {BLOCK "attn_output.weight", LAYER "self_attn.out_proj.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "self_attn.out_proj.bias", WIDEN},
    {BLOCK "ffn_norm.weight", LAYER "final_layer_norm.weight", WIDEN},
    {BLOCK "ffn_norm.bias", LAYER "final_layer_norm.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "fc1.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "fc1.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "fc2.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "fc2.bias", WIDEN},
};

#undef LAYER
#define LAYER "h.{layer}."

static const row gpt2_rows[] = {
    {"token_embd.weight", "wte.weight", AS_IS},
    {"position_embd.weight", "wpe.weight", AS_IS},
    {"output_norm.weight", "ln_f.weight", WIDEN},
    {"output_norm.bias", "ln_f.bias", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "ln_1.weight", WIDEN},
    {BLOCK "attn_norm.bias", LAYER "ln_1.bias", WIDEN},
    {BLOCK "attn_qkv.weight", LAYER "attn.c_attn.weight", TRANSPOSE},
    {BLOCK "attn_qkv.bias", LAYER "attn.c_attn.bias", WIDEN},
    {BLOCK "attn_output.weight", LAYER "attn.c_proj.weight", TRANSPOSE},
    {BLOCK "attn_output.bias", LAYER "attn.c_proj.bias", WIDEN},
    {BLOCK "ffn_norm.weight", LAYER "ln_2.weight", WIDEN},
    {BLOCK "ffn_norm.bias", LAYER "ln_2.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.c_fc.weight", TRANSPOSE},
    {BLOCK "ffn_up.bias", LAYER "mlp.c_fc.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.c_proj.weight", TRANSPOSE},
    {BLOCK "ffn_down.bias", LAYER "mlp.c_proj.bias", WIDEN},
};

static const row gpt_neo_rows[] = {
    {"token_embd.weight", "wte.weight", AS_IS},
    {"position_embd.weight", "wpe.weight", AS_IS},
    {"output_norm.weight", "ln_f.weight", WIDEN},
    {"output_norm.bias", "ln_f.bias", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "ln_1.weight", WIDEN},
    {BLOCK "attn_norm.bias", LAYER "ln_1.bias", WIDEN},
    {BLOCK "attn_q.weight", LAYER "attn.attention.q_proj.weight", AS_IS},
    {BLOCK "attn_k.weight", LAYER "attn.attention.k_proj.weight", AS_IS},
    {BLOCK "attn_v.weight", LAYER "attn.attention.v_proj.weight", AS_IS},
    {BLOCK "attn_output.weight", LAYER "attn.attention.out_proj.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "attn.attention.out_proj.bias", WIDEN},
    {BLOCK "ffn_norm.weight", LAYER "ln_2.weight", WIDEN},
    {BLOCK "ffn_norm.bias", LAYER "ln_2.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.c_fc.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.c_fc.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.c_proj.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.c_proj.bias", WIDEN},
};

#define ROWS(table) table, sizeof table / sizeof *(table)

/* How a family names what it has. */
typedef struct {
    const row *rows;
    size_t n_rows;
    const char *prefix;  /* "" for a model that was saved without its output head */
    const char *present; /* of every file, to see which prefix it has */
    const char *output;  /* without its suffix; without the prefix in any case */
    const char *ignored[3];
} naming;

static const naming namings[] = {
    [PF_HF_NAMES_LLAMA] = {ROWS(llama_rows),
                           "model.",
                           "embed_tokens.weight",
                           "lm_head",
                           {"layers.{layer}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"}},
    [PF_HF_NAMES_GPT2] = {ROWS(gpt2_rows),
                          "transformer.",
                          "wte.weight",
                          "lm_head",
                          {"h.{layer}.attn.bias", "h.{layer}.attn.masked_bias"}},
    [PF_HF_NAMES_GPT_NEO] = {ROWS(gpt_neo_rows),
                             "transformer.",
                             "wte.weight",
                             "lm_head",
                             {"h.{layer}.attn.attention.bias",
                              "h.{layer}.attn.attention.masked_bias"}},
    [PF_HF_NAMES_GPT_NEOX] = {ROWS(gpt_neox_rows),
                              "gpt_neox.",
                              "embed_in.weight",
                              "embed_out",
                              {"layers.{layer}.attention.bias",
                               "layers.{layer}.attention.masked_bias",
                               "layers.{layer}.attention.rotary_emb.inv_freq"}},
    [PF_HF_NAMES_OPT] = {ROWS(opt_rows),
                         "model.decoder.",
                         "embed_tokens.weight",
                         "lm_head",
                         {"version", "output_projection.weight"}},
};

/* ---- making ---- */

typedef struct {
    const pf_tensor *source;
    change change;
    size_t heads;
    bool plus_one;
} recipe;

/* Which of the source's rows comes to row i. */
static size_t source_row(const recipe *how, size_t i) {
    size_t rows = (size_t)how->source->shape[how->source->n_dims - 1];
    size_t D = rows / how->heads, in_head = i % D; /* of a head, or of q, k and v of a head */
    switch (how->change) {
    case PERMUTE_Q:
    case PERMUTE_K:
        return i - in_head + in_head / 2 + (in_head % 2) * (D / 2);
    case SPLIT_QKV: {
        size_t third = rows / 3, d = D / 3, part = i / third, head = i % third / d;
        return head * D + part * d + i % d;
    }
    case DROP_TWO:
        return i + 2;
    default:
        return i;
    }
}

/* to [cols, rows] = the transpose of from [rows, cols], by tiles that fit the cache. */
static void transpose(const char *from, char *to, size_t rows, size_t cols, size_t bytes) {
    const size_t tile = 32;
    for (size_t r0 = 0; r0 < rows; r0 += tile)
        for (size_t c0 = 0; c0 < cols; c0 += tile)
            for (size_t r = r0; r < rows && r < r0 + tile; r++)
                for (size_t c = c0; c < cols && c < c0 + tile; c++)
                    memcpy(to + (c * rows + r) * bytes, from + (r * cols + c) * bytes, bytes);
}

/* A vector is changed as a matrix with one value per row. */
static void make_vector(const recipe *how, const char *from, float *out) {
    size_t n = (size_t)how->source->shape[0], bytes = pf_row_bytes(how->source->type, 1);
    for (size_t i = 0; i < n; i++) {
        pf_dequantize_row(how->source->type, from + source_row(how, i) * bytes, out + i, 1);
        if (how->plus_one) out[i] += 1;
    }
}

static bool make(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    const recipe *how = context;
    const pf_tensor *source = how->source;
    size_t bytes = pf_row_bytes(source->type, (size_t)source->shape[0]);
    char *room = source->data ? NULL : pf_calloc(source->bytes, 1, tensor->name, error);
    const char *from = source->data ? source->data : room;
    bool good = source->data || (room && source->make(source->context, source, room, error));
    if (good && source->n_dims == 1)
        make_vector(how, from, out);
    else if (good && how->change == AS_IS)
        memcpy(out, from, source->bytes);
    else if (good && how->change == TRANSPOSE)
        transpose(from, out, (size_t)source->shape[1], (size_t)source->shape[0],
                  pf_row_bytes(source->type, 1));
    else if (good)
        for (size_t i = 0; i < (size_t)tensor->shape[1]; i++)
            memcpy((char *)out + i * bytes, from + source_row(how, i) * bytes, bytes);
    pf_free(room);
    return good;
}

/* ---- taking ---- */

static bool check_rows(const pf_tensor *source, change what, size_t heads, pf_error *error) {
    uint64_t rows = source->shape[source->n_dims - 1];
    if ((what == PERMUTE_Q || what == PERMUTE_K) && (rows % heads != 0 || rows / heads % 2 != 0))
        return pf_fail(error, "the %llu rows of the tensor %s are not %zu heads of an even size",
                       (unsigned long long)rows, source->name, heads);
    if (what == SPLIT_QKV && rows % (3 * heads) != 0)
        return pf_fail(error, "the %llu rows of the tensor %s are not q, k and v of %zu heads",
                       (unsigned long long)rows, source->name, heads);
    return what != DROP_TWO || (source->n_dims == 2 && rows > 2) ||
           pf_fail(error, "the tensor %s should have two rows more than the context", source->name);
}

static bool add_made(pf_tensor_names *names, const char *target, const pf_tensor *source,
                     const recipe *wanted, pf_error *error) {
    change what = wanted->change;
    bool transposed = what == TRANSPOSE, vector = source->n_dims == 1;
    uint64_t shape[2] = {source->shape[transposed], source->shape[!transposed]};
    size_t bytes = vector ? (size_t)source->shape[0] * sizeof(float) : source->bytes;
    if (source->n_dims > 2 || (transposed && vector) ||
        ((what == WIDEN || what == NORM) && !vector))
        return pf_fail(error, "the tensor %s has %u dimensions, which is the wrong number",
                       source->name, source->n_dims);
    if (!check_rows(source, what, wanted->heads, error)) return false;
    if (what == DROP_TWO) {
        shape[1] -= 2;
        bytes -= 2 * pf_row_bytes(source->type, (size_t)shape[0]);
    }
    recipe *how = pf_checkpoint_alloc(names->to, sizeof *how, target, error);
    if (!how) return false;
    *how = *wanted;
    return pf_checkpoint_add_made_tensor(names->to, target, vector ? PF_F32 : source->type,
                                         source->n_dims, shape, bytes, make, how, error);
}

static bool take(pf_tensor_names *names, const char *target, const char *name, change what,
                 const pf_hf_config *config, pf_error *error) {
    const pf_tensor *source = pf_tensor_names_find(names, name);
    bool halves = what == PERMUTE_Q || what == PERMUTE_K, plus_one = what == NORM;
    if (!source) return true; /* binding reports what the family cannot do without */
    names->used[source - pf_checkpoint_tensor(names->from, 0)] = true;
    if (halves && !config->adjacent) /* GGUF keeps halves for the others */
        what = source->n_dims == 1 ? WIDEN : AS_IS;
    plus_one = plus_one && config->plus_one;
    bool same = what == AS_IS || ((what == WIDEN || what == NORM) && source->type == PF_F32);
    if (same && !plus_one && source->data)
        return pf_checkpoint_add_tensor(names->to, target, source->type, source->n_dims,
                                        source->shape, source->data, source->bytes, error);
    const recipe wanted = {source, what,
                           what == PERMUTE_K                        ? config->n_kv_heads
                           : what == PERMUTE_Q || what == SPLIT_QKV ? config->n_heads
                                                                    : 1,
                           plus_one};
    return add_made(names, target, source, &wanted, error);
}

static bool take_row(pf_tensor_names *names, const row *r, const char *prefix,
                     const pf_hf_config *config, pf_error *error) {
    char target[MAX_NAME], inner[MAX_NAME], source[MAX_NAME];
    uint32_t n = strstr(r->source, "{layer}") ? config->n_layers : 1;
    for (uint32_t i = 0; i < n; i++) {
        pf_tensor_names_expand(r->target, "{layer}", i, target, sizeof target);
        pf_tensor_names_expand(r->source, "{layer}", i, inner, sizeof inner);
        snprintf(source, sizeof source, "%.32s%.200s", prefix, inner);
        if (!take(names, target, source, r->change, config, error)) return false;
    }
    return true;
}

static bool take_rows(pf_tensor_names *names, const row *rows, size_t n, const char *prefix,
                      const pf_hf_config *config, pf_error *error) {
    for (size_t i = 0; i < n; i++)
        if (!take_row(names, &rows[i], prefix, config, error)) return false;
    return true;
}

/* transformers 5 calls any output lm_head. */
static bool take_output(pf_tensor_names *names, const char *output, const pf_hf_config *config,
                        pf_error *error) {
    char weight[64], bias[64];
    if (pf_tensor_names_find(names, "lm_head.weight")) output = "lm_head";
    snprintf(weight, sizeof weight, "%s.weight", output);
    snprintf(bias, sizeof bias, "%s.bias", output);
    if (!take(names, "output.bias", bias, WIDEN, config, error)) return false;
    if (config->tied) {
        pf_tensor_names_ignore(names, weight);
        return true;
    }
    if (!pf_tensor_names_find(names, weight))
        return pf_fail(error,
                       "the tensor %s is missing, although config.json says that the embedding is "
                       "not the output (tie_word_embeddings)",
                       weight);
    return take(names, "output.weight", weight, AS_IS, config, error);
}

bool pf_hf_tensors(pf_tensor_names *names, const pf_hf_config *config, pf_error *error) {
    const naming *n = &namings[config->names];
    const char *prefix = pf_tensor_names_find(names, n->present) ? "" : n->prefix;
    if (!take_rows(names, n->rows, n->n_rows, prefix, config, error)) return false;
    if (config->names == PF_HF_NAMES_LLAMA &&
        !(config->post_norms ? take_rows(names, ROWS(llama_post_norms), prefix, config, error)
                             : take_rows(names, ROWS(llama_norms), prefix, config, error)))
        return false;
    for (size_t i = 0; i < 3 && n->ignored[i]; i++) {
        char ignored[96];
        snprintf(ignored, sizeof ignored, "%s%s", prefix, n->ignored[i]);
        pf_tensor_names_ignore(names, ignored);
    }
    return take_output(names, n->output, config, error);
}
