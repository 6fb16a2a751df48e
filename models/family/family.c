/* floor 4.2 - family: a checkpoint's hyperparameters and tensors -> pf_model. */
#include "family.h"

#include "keys.h"
#include "rope_metadata.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How a family stores its tensors, and which of them it requires. */
enum {
    FUSED_QKV = 1,            /* attn_qkv has the rows of q, then k, then v */
    FUSED_GATE = 2,           /* ffn_up has the rows of gate, then up */
    QK_NORM = 4,              /* attn_q_norm, attn_k_norm per head */
    QKV_BIAS = 8,             /* biases of q, k and v */
    OTHER_BIASES = 16,        /* biases of the norms and of all other matrices */
    SCALED_EMBEDDING = 32,    /* embeddings are multiplied by sqrt(C) */
    ACTIVATION_BY_KEY = 64,   /* the file may choose another activation */
    KINDS_BY_KEY = 128,       /* the file chooses norm and positions */
    POST_NORMS = 256,         /* post_attention_norm and post_ffw_norm, of what a block adds */
    GEMMA_27B = 512,          /* the largest scales queries by C / H instead of D */
    SCALES = 1024,            /* keys give factors of embeddings, residuals and logits */
    PARALLEL = 2048,          /* MLP beside attention, unless use_parallel_residual says no ... */
    NO_FFN_NORM = 4096,       /* ... and it reads attention's norm */
    UNROTATED_FOURTHS = 8192, /* every fourth layer has no RoPE */
    QK_NORM_WHOLE = 16384,    /* attn_q_norm, attn_k_norm of all heads together */
    NO_PRE_NORMS = 32768,     /* neither attn_norm nor ffn_norm */
};

typedef struct {
    const char *name; /* general.architecture */
    pf_norm_kind norm;
    pf_position_kind position;
    pf_mlp_kind mlp;
    unsigned traits;
    /* of every `pattern` layers all but the last see only a window; 0: no layer, or all of them,
     * as attention.sliding_window says */
    uint32_t pattern;
    float sliding_rope_base; /* of those layers; 0: rope.freq_base */
} family;

static const family families[] = {
    {"llama", PF_NORM_RMS, PF_POSITION_ROPE_ADJACENT, PF_MLP_SWIGLU, 0, 0, 0},
    {"qwen2", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_SWIGLU, QKV_BIAS, 0, 0},
    {"qwen3", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_SWIGLU, QK_NORM, 0, 0},
    {"gpt2", PF_NORM_LAYER, PF_POSITION_LEARNED, PF_MLP_GELU_TANH,
     FUSED_QKV | QKV_BIAS | OTHER_BIASES | ACTIVATION_BY_KEY, 0, 0},
    {"phi3", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_SWIGLU, FUSED_QKV | FUSED_GATE, 0, 0},
    {"gemma", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_GEGLU, SCALED_EMBEDDING, 0, 0},
    {"gemma2", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_GEGLU,
     SCALED_EMBEDDING | POST_NORMS | GEMMA_27B, 2, 0},
    {"gemma3", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_GEGLU,
     SCALED_EMBEDDING | POST_NORMS | GEMMA_27B | QK_NORM, 6, 10000},
    {"gptneox", PF_NORM_LAYER, PF_POSITION_ROPE_HALVES, PF_MLP_GELU_ERF,
     FUSED_QKV | QKV_BIAS | OTHER_BIASES | PARALLEL, 0, 0},
    {"granite", PF_NORM_RMS, PF_POSITION_ROPE_ADJACENT, PF_MLP_SWIGLU, SCALES, 0, 0},
    {"olmo2", PF_NORM_RMS, PF_POSITION_ROPE_HALVES, PF_MLP_SWIGLU,
     POST_NORMS | NO_PRE_NORMS | QK_NORM_WHOLE, 0, 0},
    {"phi2", PF_NORM_LAYER, PF_POSITION_ROPE_HALVES, PF_MLP_GELU_TANH,
     QKV_BIAS | OTHER_BIASES | PARALLEL | NO_FFN_NORM, 0, 0},
    {"smollm3", PF_NORM_RMS, PF_POSITION_ROPE_ADJACENT, PF_MLP_SWIGLU, UNROTATED_FOURTHS, 0, 0},
    {"stablelm", PF_NORM_LAYER, PF_POSITION_ROPE_HALVES, PF_MLP_SWIGLU, 0, 0, 0},
    {"starcoder2", PF_NORM_LAYER, PF_POSITION_ROPE_HALVES, PF_MLP_GELU_TANH,
     QKV_BIAS | OTHER_BIASES, 0, 0},
    {"gptneo", PF_NORM_LAYER, PF_POSITION_LEARNED, PF_MLP_GELU_TANH,
     OTHER_BIASES | ACTIVATION_BY_KEY, 0, 0},
    {"opt", PF_NORM_LAYER, PF_POSITION_LEARNED, PF_MLP_RELU,
     QKV_BIAS | OTHER_BIASES | ACTIVATION_BY_KEY, 0, 0},
    {"performer", PF_NORM_LAYER, PF_POSITION_NONE, PF_MLP_GELU_ERF,
     KINDS_BY_KEY | ACTIVATION_BY_KEY, 0, 0},
};
#define N_FAMILIES (sizeof families / sizeof *families)

/* More than any model that fits a machine, and small enough that no product of two overflows. */
#define MAX_LAYERS (1u << 12)
#define MAX_WIDTH (1u << 20) /* of C, F, and H * D */
#define MAX_HEADS (1u << 14)
#define MAX_VOCABULARY (1u << 24)
#define MAX_CONTEXT (1u << 28)

const char *pf_family_names(char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < N_FAMILIES && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", families[i].name);
    return text;
}

static const family *find_family(const pf_checkpoint *checkpoint, pf_error *error) {
    pf_text name = {NULL, 0};
    char names[256];
    if (!pf_checkpoint_get_text(checkpoint, "general.architecture", &name, error)) return NULL;
    if (!name.bytes) {
        pf_fail(error, "the file does not name its family (general.architecture is missing)");
        return NULL;
    }
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (name.size == strlen(families[i].name) &&
            memcmp(name.bytes, families[i].name, name.size) == 0)
            return &families[i];
    pf_fail(error, "the family \"%.*s\" is not supported; supported: %s",
            (int)(name.size < 40 ? name.size : 40), name.bytes,
            pf_family_names(names, sizeof names));
    return NULL;
}

typedef struct {
    const family *family;
    pf_binder *binder;
    pf_model *model;
    pf_error *error;
    pf_keys keys; /* with the family's prefix */
} loader;

/* ---- kinds ---- */

static const char *const norm_names[] = {"rms", "layer"};
static const char *const position_names[] = {"none", "rope_adjacent", "rope_halves"};
static const char *const activation_names[] = {"swiglu", "geglu", "gelu_tanh", "gelu", "relu"};

/* *kind = the index in `names` of the key's value; unchanged if the key is absent. */
static bool read_kind(const loader *l, const char *key, const char *const *names, int n,
                      int *kind) {
    pf_text text = {NULL, 0};
    if (!pf_keys_text(&l->keys, key, &text)) return false;
    if (!text.bytes) return true;
    for (int i = 0; i < n; i++) {
        if (text.size != strlen(names[i]) || memcmp(text.bytes, names[i], text.size) != 0) continue;
        *kind = i;
        return true;
    }
    return pf_fail(l->error, "the metadata key %s.%s is \"%.*s\", which is not a known value",
                   l->keys.prefix, key, (int)(text.size < 40 ? text.size : 40), text.bytes);
}

static bool read_kinds(const loader *l) {
    pf_model *m = l->model;
    int norm = (int)m->norm, position = (int)m->position, mlp = (int)m->mlp;
    unsigned traits = l->family->traits;
    if (traits & KINDS_BY_KEY && (!read_kind(l, "norm", norm_names, 2, &norm) ||
                                  !read_kind(l, "position", position_names, 3, &position)))
        return false;
    if (traits & ACTIVATION_BY_KEY && !read_kind(l, "activation", activation_names, 5, &mlp))
        return false;
    m->norm = (pf_norm_kind)norm;
    m->position = (pf_position_kind)position;
    m->mlp = (pf_mlp_kind)mlp;
    return true;
}

/* ---- hyperparameters ---- */

static bool read_heads(const loader *l) {
    pf_model *m = l->model;
    uint32_t value_dim;
    if (!pf_keys_size(&l->keys, "attention.head_count", MAX_HEADS, &m->n_heads)) return false;
    m->n_kv_heads = m->n_heads;
    m->head_dim = m->width % m->n_heads == 0 ? m->width / m->n_heads : 0;
    if (!pf_keys_size(&l->keys, "attention.head_count_kv", MAX_HEADS, &m->n_kv_heads) ||
        !pf_keys_size(&l->keys, "attention.key_length", MAX_WIDTH, &m->head_dim))
        return false;
    value_dim = m->head_dim;
    if (!pf_keys_u32(&l->keys, "attention.value_length", &value_dim)) return false;
    if (value_dim != m->head_dim)
        return pf_fail(l->error,
                       "keys and values of different sizes (%u and %u per head) are not supported",
                       m->head_dim, value_dim);
    if (m->n_heads % m->n_kv_heads != 0)
        return pf_fail(l->error, "%u query heads cannot share %u KV heads evenly", m->n_heads,
                       m->n_kv_heads);
    if ((uint64_t)m->n_heads * m->head_dim > MAX_WIDTH)
        return pf_fail(l->error, "%u heads of size %u are more than any known model has",
                       m->n_heads, m->head_dim);
    m->attention_scale = (float)(1.0 / sqrt(m->head_dim));
    bool gemma_27b = m->n_layers == 46 || m->n_layers == 62; /* no key says so */
    if (l->family->traits & GEMMA_27B && gemma_27b)
        m->attention_scale = sqrtf((float)m->n_heads / (float)m->width);
    return pf_keys_positive(&l->keys, "attention.scale", &m->attention_scale);
}

static bool read_sizes(const loader *l) {
    pf_model *m = l->model;
    bool layer_norm = m->norm == PF_NORM_LAYER;
    return pf_keys_size(&l->keys, "block_count", MAX_LAYERS, &m->n_layers) &&
           pf_keys_size(&l->keys, "embedding_length", MAX_WIDTH, &m->width) &&
           pf_keys_size(&l->keys, "feed_forward_length", MAX_WIDTH, &m->hidden) &&
           pf_keys_size(&l->keys, "context_length", MAX_CONTEXT, &m->context) &&
           pf_keys_positive(&l->keys,
                            layer_norm ? "attention.layer_norm_epsilon"
                                       : "attention.layer_norm_rms_epsilon",
                            &m->norm_eps) &&
           read_heads(l);
}

/* Granite divides its logits by the key. */
static bool read_scales(const loader *l) {
    pf_model *m = l->model;
    float divisor = 1;
    m->residual_scale = m->logit_scale = 1;
    m->parallel = (l->family->traits & PARALLEL) != 0;
    if (m->parallel && !pf_keys_bool(&l->keys, "use_parallel_residual", &m->parallel)) return false;
    if (!(l->family->traits & SCALES)) return true;
    if (!pf_keys_positive(&l->keys, "embedding_scale", &m->embedding_scale) ||
        !pf_keys_positive(&l->keys, "residual_scale", &m->residual_scale) ||
        !pf_keys_positive(&l->keys, "logit_scale", &divisor))
        return false;
    m->logit_scale = 1 / divisor;
    return true;
}

/* A cap of 0, as some files have it, is none. */
static bool read_cap(const loader *l, const char *key, float *cap) {
    float value = 0;
    if (!pf_keys_f32(&l->keys, key, &value)) return false;
    *cap = 0;
    if (value == 0) return true;
    *cap = value;
    return pf_keys_positive(&l->keys, key, cap);
}

/* Also refuses what would change the result but is not supported. */
static bool read_extensions(const loader *l) {
    uint32_t experts = 0;
    if (!pf_keys_u32(&l->keys, "expert_count", &experts)) return false;
    if (experts > 0) return pf_fail(l->error, "a mixture of %u experts is not supported", experts);
    return read_cap(l, "attn_logit_softcapping", &l->model->attention_cap) &&
           read_cap(l, "final_logit_softcapping", &l->model->logit_cap);
}

/* ---- positions ---- */

static bool read_positions(const loader *l) {
    pf_model *m = l->model;
    bool by_key = l->family->traits & KINDS_BY_KEY;
    if (m->position == PF_POSITION_LEARNED ||
        (by_key && pf_bind_find(l->binder, "position_embd.weight"))) {
        uint64_t shape[] = {m->width, m->context};
        if (!pf_bind_floats(l->binder, "position_embd.weight", 2, shape, &m->position_embedding,
                            l->error))
            return false;
    }
    return !pf_position_rotates(m->position) || pf_rope_bind(l->binder, &l->keys, m);
}

/* Which layers slide: a list of truth values, or a number as in the family's table. */
static bool read_pattern(const loader *l, const uint8_t **list, uint32_t *pattern) {
    char key[64];
    const void *values = NULL;
    size_t count = 0;
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", l->keys.prefix);
    const pf_meta *meta = pf_checkpoint_find_meta(l->binder->checkpoint, key);
    *list = NULL;
    *pattern = l->family->pattern;
    if (!meta) return true;
    if (meta->type != PF_META_ARRAY)
        return pf_keys_size(&l->keys, "attention.sliding_window_pattern", MAX_LAYERS, pattern);
    if (!pf_checkpoint_get_array(l->binder->checkpoint, key, PF_META_BOOL, &values, &count,
                                 l->error))
        return false;
    *list = values;
    return count == l->model->n_layers ||
           pf_fail(l->error, "%s has %zu values for %u layers", key, count, l->model->n_layers);
}

static bool read_windows(const loader *l, pf_layer *layers) {
    pf_model *m = l->model;
    const uint8_t *list;
    uint32_t window = 0, pattern;
    if (!pf_keys_u32(&l->keys, "attention.sliding_window", &window)) return false;
    if (window == 0 || window >= pf_model_trained(m)) return true;
    if (!read_pattern(l, &list, &pattern)) return false;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        bool global = list ? !list[i] : pattern > 0 && i % pattern == pattern - 1;
        layers[i].window = global ? 0 : window;
    }
    m->sliding_rope_base = l->family->sliding_rope_base;
    return pf_keys_f32(&l->keys, "rope.freq_base_swa", &m->sliding_rope_base) &&
           (m->sliding_rope_base == 0 ||
            pf_keys_positive(&l->keys, "rope.freq_base_swa", &m->sliding_rope_base));
}

/* ---- tensors ---- */

typedef struct {
    char text[64];
} tensor_name;

/* "blk.3.attn_q.weight" */
static tensor_name in_layer(uint32_t layer, const char *name, const char *suffix) {
    tensor_name full;
    snprintf(full.text, sizeof full.text, "blk.%u.%s.%s", layer, name, suffix);
    return full;
}

static bool bind_bias(const loader *l, uint32_t layer, const char *name, size_t n, bool required,
                      const float **bias) {
    tensor_name full = in_layer(layer, name, "bias");
    return required ? pf_bind_vector(l->binder, full.text, n, bias, l->error)
                    : pf_bind_optional_vector(l->binder, full.text, n, bias, l->error);
}

static bool bind_linear(const loader *l, uint32_t layer, const char *name, size_t rows, size_t cols,
                        bool bias_required, pf_linear *linear) {
    return pf_bind_matrix(l->binder, in_layer(layer, name, "weight").text, rows, cols,
                          &linear->weight, l->error) &&
           bind_bias(l, layer, name, rows, bias_required, &linear->bias);
}

/* An RMS norm has no bias; if the file has one, pf_bind_nothing_left reports it. */
static bool bind_norm(const loader *l, uint32_t layer, const char *name, pf_norm *norm) {
    bool layer_norm = l->model->norm == PF_NORM_LAYER;
    return pf_bind_vector(l->binder, in_layer(layer, name, "weight").text, l->model->width,
                          &norm->weight, l->error) &&
           (!layer_norm || bind_bias(l, layer, name, l->model->width,
                                     (l->family->traits & OTHER_BIASES) != 0, &norm->bias));
}

/* The rows [first, first + count) of a fused matrix and its bias. */
static pf_linear part(pf_linear fused, size_t first, size_t count) {
    return (pf_linear){pf_matrix_rows(fused.weight, first, count),
                       fused.bias ? fused.bias + first : NULL};
}

static bool bind_qk_norms(const loader *l, uint32_t i, pf_layer *layer) {
    size_t D = l->model->head_dim;
    layer->qk_norm_whole = (l->family->traits & QK_NORM_WHOLE) != 0;
    bool normed = layer->qk_norm_whole || l->family->traits & QK_NORM;
    return !normed || (pf_bind_vector(l->binder, in_layer(i, "attn_q_norm", "weight").text,
                                      layer->qk_norm_whole ? l->model->n_heads * D : D,
                                      &layer->q_norm, l->error) &&
                       pf_bind_vector(l->binder, in_layer(i, "attn_k_norm", "weight").text,
                                      layer->qk_norm_whole ? l->model->n_kv_heads * D : D,
                                      &layer->k_norm, l->error));
}

static bool bind_attention(const loader *l, uint32_t i, pf_layer *layer) {
    const pf_model *m = l->model;
    unsigned traits = l->family->traits;
    size_t C = m->width, D = m->head_dim, q = m->n_heads * D, kv = m->n_kv_heads * D;
    bool bias = (traits & QKV_BIAS) != 0;
    bool fused_qkv = traits & FUSED_QKV || /* some files of phi2 */
                     pf_bind_find(l->binder, in_layer(i, "attn_qkv", "weight").text);
    if (fused_qkv) {
        pf_linear fused = {0};
        if (!bind_linear(l, i, "attn_qkv", q + 2 * kv, C, bias, &fused)) return false;
        layer->q = part(fused, 0, q);
        layer->k = part(fused, q, kv);
        layer->v = part(fused, q + kv, kv);
    } else if (!bind_linear(l, i, "attn_q", q, C, bias, &layer->q) ||
               !bind_linear(l, i, "attn_k", kv, C, bias, &layer->k) ||
               !bind_linear(l, i, "attn_v", kv, C, bias, &layer->v)) {
        return false;
    }
    if (!bind_qk_norms(l, i, layer)) return false;
    return bind_linear(l, i, "attn_output", C, q, (traits & OTHER_BIASES) != 0, &layer->output);
}

static bool bind_mlp(const loader *l, uint32_t i, pf_layer *layer) {
    const pf_model *m = l->model;
    size_t C = m->width, F = m->hidden;
    bool bias = (l->family->traits & OTHER_BIASES) != 0;
    bool gated = m->mlp == PF_MLP_SWIGLU || m->mlp == PF_MLP_GEGLU;
    if (l->family->traits & FUSED_GATE) {
        pf_linear fused = {0};
        if (!bind_linear(l, i, "ffn_up", 2 * F, C, bias, &fused)) return false;
        layer->gate = part(fused, 0, F);
        layer->up = part(fused, F, F);
    } else if ((gated && !bind_linear(l, i, "ffn_gate", F, C, bias, &layer->gate)) ||
               !bind_linear(l, i, "ffn_up", F, C, bias, &layer->up)) {
        return false;
    }
    return bind_linear(l, i, "ffn_down", C, F, bias, &layer->down);
}

/* The MLP of a parallel layer may read the norm that attention reads. */
static bool bind_pre_norms(const loader *l, uint32_t i, pf_layer *layer) {
    if (l->family->traits & NO_PRE_NORMS) return true;
    if (!bind_norm(l, i, "attn_norm", &layer->attention_norm)) return false;
    layer->mlp_norm = layer->attention_norm;
    return l->family->traits & NO_FFN_NORM || bind_norm(l, i, "ffn_norm", &layer->mlp_norm);
}

static bool bind_post_norms(const loader *l, uint32_t i, pf_layer *layer) {
    return !(l->family->traits & POST_NORMS) ||
           (bind_norm(l, i, "post_attention_norm", &layer->attention_post_norm) &&
            bind_norm(l, i, "post_ffw_norm", &layer->mlp_post_norm));
}

static bool bind_layers(const loader *l, pf_layer *layers) {
    for (uint32_t i = 3; l->family->traits & UNROTATED_FOURTHS && i < l->model->n_layers; i += 4)
        layers[i].unrotated = true;
    for (uint32_t i = 0; i < l->model->n_layers; i++)
        if (!bind_pre_norms(l, i, &layers[i]) || !bind_attention(l, i, &layers[i]) ||
            !bind_mlp(l, i, &layers[i]) || !bind_post_norms(l, i, &layers[i]))
            return false;
    return true;
}

static bool bind_embedding(const loader *l) {
    pf_model *m = l->model;
    const pf_tensor *tensor = pf_bind_find(l->binder, "token_embd.weight");
    if (!tensor) return pf_fail(l->error, "the tensor token_embd.weight is missing");
    uint64_t rows = tensor->shape[1];
    if (rows > MAX_VOCABULARY)
        return pf_fail(l->error, "token_embd.weight has %llu rows; at most %u are supported",
                       (unsigned long long)rows, MAX_VOCABULARY);
    m->n_vocab = (uint32_t)rows;
    m->embedding_scale = l->family->traits & SCALED_EMBEDDING ? sqrtf((float)m->width) : 1.0f;
    return pf_bind_matrix(l->binder, "token_embd.weight", m->n_vocab, m->width, &m->embedding,
                          l->error);
}

static bool bind_output(const loader *l) {
    pf_model *m = l->model;
    if (!pf_bind_vector(l->binder, "output_norm.weight", m->width, &m->final_norm.weight, l->error))
        return false;
    bool required = l->family->traits & OTHER_BIASES;
    if (m->norm == PF_NORM_LAYER &&
        !(required ? pf_bind_vector : pf_bind_optional_vector)(
            l->binder, "output_norm.bias", m->width, &m->final_norm.bias, l->error))
        return false;
    m->logits.weight = m->embedding; /* tied, unless the file has output.weight */
    if (pf_bind_find(l->binder, "output.weight") &&
        !pf_bind_matrix(l->binder, "output.weight", m->n_vocab, m->width, &m->logits.weight,
                        l->error))
        return false;
    return pf_bind_optional_vector(l->binder, "output.bias", m->n_vocab, &m->logits.bias, l->error);
}

bool pf_family_bind(pf_binder *binder, pf_model *model, pf_layer **layers, pf_error *error) {
    loader l = {find_family(binder->checkpoint, error), binder, model, error, {0}};
    if (!l.family) return false;
    l.keys = (pf_keys){binder->checkpoint, l.family->name, error};
    *model = (pf_model){.norm = l.family->norm,
                        .position = l.family->position,
                        .mlp = l.family->mlp,
                        .tail_rope = true};
    snprintf(model->family, sizeof model->family, "%s", l.family->name);
    if (!read_kinds(&l) || !read_sizes(&l) || !read_extensions(&l) || !bind_embedding(&l) ||
        !read_scales(&l) || !read_positions(&l))
        return false;
    *layers = pf_checkpoint_alloc(binder->checkpoint, model->n_layers * sizeof **layers,
                                  "the layers", error);
    if (!*layers) return false;
    model->layers = *layers;
    return read_windows(&l, *layers) && bind_layers(&l, *layers) && bind_output(&l);
}
