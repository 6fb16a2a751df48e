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
    PERMUTE_Q, /* rows of each query head, for RoPE: halves to neighbours; a vector becomes F32 */
    PERMUTE_K, /* the same for each KV head */
    TRANSPOSE
} change;

typedef struct {
    const char *target, *source;
    change change;
} row;

#define BLOCK "blk.{layer}."
#define LAYER "layers.{layer}."

static const row llama_rows[] = {
    {"token_embd.weight", "embed_tokens.weight", AS_IS},
    {"output_norm.weight", "norm.weight", WIDEN},
    {BLOCK "attn_norm.weight", LAYER "input_layernorm.weight", WIDEN},
    {BLOCK "attn_q.weight", LAYER "self_attn.q_proj.weight", PERMUTE_Q},
    {BLOCK "attn_q.bias", LAYER "self_attn.q_proj.bias", PERMUTE_Q},
    {BLOCK "attn_k.weight", LAYER "self_attn.k_proj.weight", PERMUTE_K},
    {BLOCK "attn_k.bias", LAYER "self_attn.k_proj.bias", PERMUTE_K},
    {BLOCK "attn_v.weight", LAYER "self_attn.v_proj.weight", AS_IS},
    {BLOCK "attn_v.bias", LAYER "self_attn.v_proj.bias", WIDEN},
    {BLOCK "attn_q_norm.weight", LAYER "self_attn.q_norm.weight", WIDEN},
    {BLOCK "attn_k_norm.weight", LAYER "self_attn.k_norm.weight", WIDEN},
    {BLOCK "attn_output.weight", LAYER "self_attn.o_proj.weight", AS_IS},
    {BLOCK "attn_output.bias", LAYER "self_attn.o_proj.bias", WIDEN},
    {BLOCK "ffn_norm.weight", LAYER "post_attention_layernorm.weight", WIDEN},
    {BLOCK "ffn_gate.weight", LAYER "mlp.gate_proj.weight", AS_IS},
    {BLOCK "ffn_gate.bias", LAYER "mlp.gate_proj.bias", WIDEN},
    {BLOCK "ffn_up.weight", LAYER "mlp.up_proj.weight", AS_IS},
    {BLOCK "ffn_up.bias", LAYER "mlp.up_proj.bias", WIDEN},
    {BLOCK "ffn_down.weight", LAYER "mlp.down_proj.weight", AS_IS},
    {BLOCK "ffn_down.bias", LAYER "mlp.down_proj.bias", WIDEN},
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

/* ---- making ---- */

typedef struct {
    const pf_tensor *source;
    change change;
    size_t heads;
} recipe;

/* In every head: to[2 i] = from[i] and to[2 i + 1] = from[i + D/2], in rows of `bytes` each. */
static void permute(const char *from, char *to, size_t heads, size_t head_dim, size_t bytes) {
    for (size_t h = 0; h < heads; h++, from += head_dim * bytes)
        for (size_t i = 0; i < head_dim; i++, to += bytes)
            memcpy(to, from + (i / 2 + (i % 2) * (head_dim / 2)) * bytes, bytes);
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

/* A vector is permuted as a matrix with one value per row. */
static void make_vector(const recipe *how, const char *from, float *out) {
    size_t n = (size_t)how->source->shape[0], bytes = pf_row_bytes(how->source->type, 1);
    size_t head_dim = n / how->heads;
    for (size_t i = 0; i < n; i++) {
        size_t in_head = i % head_dim, row_of = i;
        if (how->change != WIDEN)
            row_of = i - in_head + in_head / 2 + (in_head % 2) * (head_dim / 2);
        pf_dequantize_row(how->source->type, from + row_of * bytes, out + i, 1);
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
        permute(from, out, how->heads, (size_t)source->shape[1] / how->heads, bytes);
    pf_free(room);
    return good;
}

/* ---- taking ---- */

static bool add_made(pf_tensor_names *names, const char *target, const pf_tensor *source,
                     change what, size_t heads, pf_error *error) {
    bool transposed = what == TRANSPOSE, vector = source->n_dims == 1;
    uint64_t shape[2] = {source->shape[transposed], source->shape[!transposed]};
    size_t bytes = vector ? (size_t)source->shape[0] * sizeof(float) : source->bytes;
    if (source->n_dims > 2 || (transposed && vector) || (what == WIDEN && !vector))
        return pf_fail(error, "the tensor %s has %u dimensions, which is the wrong number",
                       source->name, source->n_dims);
    uint64_t rows = source->shape[source->n_dims - 1];
    if ((what == PERMUTE_Q || what == PERMUTE_K) && (rows % heads != 0 || rows / heads % 2 != 0))
        return pf_fail(error, "the %llu rows of the tensor %s are not %zu heads of an even size",
                       (unsigned long long)rows, source->name, heads);
    recipe *how = pf_checkpoint_alloc(names->to, sizeof *how, target, error);
    if (!how) return false;
    *how = (recipe){source, what, heads};
    return pf_checkpoint_add_made_tensor(names->to, target, vector ? PF_F32 : source->type,
                                         source->n_dims, shape, bytes, make, how, error);
}

static bool take(pf_tensor_names *names, const char *target, const char *name, change what,
                 const pf_hf_config *config, pf_error *error) {
    const pf_tensor *source = pf_tensor_names_find(names, name);
    bool halves = what == PERMUTE_Q || what == PERMUTE_K;
    if (!source) return true; /* binding reports what the family cannot do without */
    names->used[source - pf_checkpoint_tensor(names->from, 0)] = true;
    if (halves && config->family != PF_HF_LLAMA) { /* GGUF keeps halves for the others */
        what = source->n_dims == 1 ? WIDEN : AS_IS;
        halves = false;
    }
    if (what == AS_IS && source->data)
        return pf_checkpoint_add_tensor(names->to, target, source->type, source->n_dims,
                                        source->shape, source->data, source->bytes, error);
    if (what == WIDEN && source->type == PF_F32 && source->data)
        return take(names, target, name, AS_IS, config, error);
    return add_made(names, target, source, what,
                    !halves             ? 1
                    : what == PERMUTE_Q ? config->n_heads
                                        : config->n_kv_heads,
                    error);
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

static bool take_output(pf_tensor_names *names, const pf_hf_config *config, pf_error *error) {
    if (config->tied) {
        pf_tensor_names_ignore(names, "lm_head.weight");
        return true;
    }
    if (!pf_tensor_names_find(names, "lm_head.weight"))
        return pf_fail(error, "the tensor lm_head.weight is missing, although config.json says "
                              "that the embedding is not the output (tie_word_embeddings)");
    return take(names, "output.weight", "lm_head.weight", AS_IS, config, error);
}

bool pf_hf_tensors(pf_tensor_names *names, const pf_hf_config *config, pf_error *error) {
    bool gpt2 = config->family == PF_HF_GPT2;
    const row *rows = gpt2 ? gpt2_rows : llama_rows;
    size_t n = gpt2 ? sizeof gpt2_rows / sizeof *rows : sizeof llama_rows / sizeof *rows;
    const char *prefix = gpt2 ? "transformer." : "model.";
    /* A model that was saved without its output head has no prefix. */
    if (pf_tensor_names_find(names, gpt2 ? "wte.weight" : "embed_tokens.weight")) prefix = "";
    for (size_t i = 0; i < n; i++)
        if (!take_row(names, &rows[i], prefix, config, error)) return false;
    char ignored[2][64];
    snprintf(ignored[0], sizeof ignored[0], "%s%s", prefix,
             gpt2 ? "h.{layer}.attn.bias" : "layers.{layer}.self_attn.rotary_emb.inv_freq");
    snprintf(ignored[1], sizeof ignored[1], "%s%s", prefix,
             gpt2 ? "h.{layer}.attn.masked_bias" : "rotary_emb.inv_freq");
    pf_tensor_names_ignore(names, ignored[0]);
    pf_tensor_names_ignore(names, ignored[1]);
    return take_output(names, config, error);
}
