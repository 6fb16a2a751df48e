/* floor 1.1 - pf_model: hyperparameters and weights of one checkpoint, const once loaded.
 *
 * A family is data, not code: kinds of norm, position and MLP, and which optional tensors are
 * there. models/ fills this in; engine/forward.c reads it. All pointers are borrowed from the
 * loaded checkpoint (models/load.h), which must outlive every session.
 */
#ifndef PF_MODEL_H
#define PF_MODEL_H

#include "attention_options.h"
#include "error.h"
#include "rope.h"
#include "tensor.h"

typedef enum pf_norm_kind { PF_NORM_RMS, PF_NORM_LAYER } pf_norm_kind;

typedef enum pf_mlp_kind {
    PF_MLP_SWIGLU,    /* down(silu(gate x) * up x) */
    PF_MLP_GEGLU,     /* down(gelu_tanh(gate x) * up x) */
    PF_MLP_GELU_TANH, /* down(gelu(up x)), tanh form */
    PF_MLP_GELU_ERF,  /* down(gelu(up x)), exact form */
    PF_MLP_RELU,      /* down(relu(up x)) */
} pf_mlp_kind;

typedef struct pf_norm {
    const float *weight; /* [n]; NULL: no such norm */
    const float *bias;   /* [n] or NULL */
} pf_norm;

typedef struct pf_linear {
    pf_matrix weight;  /* [out, in] */
    const float *bias; /* [out] or NULL */
} pf_linear;

typedef struct pf_layer {
    pf_norm attention_norm;       /* [C] */
    pf_linear q;                  /* [H * D, C] */
    pf_linear k, v;               /* [n_kv_heads * D, C] */
    pf_linear output;             /* [C, H * D] */
    const float *q_norm, *k_norm; /* [D] RMS norm of each head before RoPE, or NULL (qwen3) ... */
    bool qk_norm_whole;           /* ... [H * D], [n_kv_heads * D]: of all heads together (olmo2) */
    pf_norm attention_post_norm;  /* [C] of what attention adds to the residual stream (gemma3) */
    pf_norm mlp_norm;             /* [C] */
    pf_linear gate;               /* [F, C]; absent for MLPs without a gate */
    pf_linear up;                 /* [F, C] */
    pf_linear down;               /* [C, F] */
    pf_norm mlp_post_norm;        /* [C] of what the MLP adds */
    uint32_t window; /* a sliding layer sees this many tokens, itself included; 0: all */
    bool unrotated;  /* q and k of this layer have no RoPE (some of smollm3's) */
    pf_favor_weights favor;
} pf_layer;

typedef struct pf_model {
    char family[16];       /* general.architecture: "llama", "qwen2", ... */
    uint32_t n_layers;     /* L */
    uint32_t width;        /* C */
    uint32_t hidden;       /* F */
    uint32_t n_heads;      /* H, of queries */
    uint32_t n_kv_heads;   /* divides H: query head h reads KV head h / (H / n_kv_heads) */
    uint32_t head_dim;     /* D; H * D need not be C */
    uint32_t n_vocab;      /* V */
    uint32_t context;      /* tokens the weights were trained for ... */
    uint32_t long_context; /* ... with long_rope_factors (longrope); 0: there are none */

    pf_norm_kind norm;
    float norm_eps;
    pf_position_kind position;
    uint32_t rope_dim;         /* leading dims of a head that rotate; even, <= D */
    float rope_base;           /* theta: pair i rotates by position * theta^(-2i / rope_dim) ... */
    const float *rope_factors; /* ... divided by rope_factors[i] [rope_dim / 2], if not NULL */
    const float *long_rope_factors; /* the same where pf_model_is_long */
    float rope_scale; /* the dims that rotate are multiplied by this (yarn, longrope); 0: by 1 */
    float sliding_rope_base; /* theta in sliding layers, without factors; 0: as everywhere */
    pf_mlp_kind mlp;
    float attention_scale; /* scores are q.k times this; 1 / sqrt(D) in most families */
    float attention_cap;   /* then cap tanh(score / cap); 0: no cap (gemma2 has one) */
    float embedding_scale; /* token embeddings are multiplied by this; 1 in most families */
    float residual_scale;  /* what a block adds is multiplied by this; 1 in most families */
    float logit_scale;     /* logits are multiplied by this; 1 in most families */
    bool parallel;         /* the MLP reads the layer's input, as attention does */
    float logit_cap;       /* logits become cap tanh(logit / cap); 0: no cap */

    pf_matrix embedding; /* [V, C] */
    /* [context, C] or NULL: learned positions, added to the tokens' embeddings, so that no text can
     * be longer than `context`; `position` says how q and k rotate */
    const float *position_embedding;
    const pf_layer *layers; /* [L] */
    pf_norm final_norm;     /* [C] */
    pf_linear logits;       /* [V, C]; the embedding again where tied */

    pf_attention_options attention; /* what the checkpoint asks for; softmax if it is silent */
    const uint32_t *windows;        /* [L, n_kv_heads] instead of attention.window, or NULL */
    const uint32_t *head_features;  /* [L, n_kv_heads] instead of attention.features, or NULL */
    bool tail_rope;                 /* features read q and k after RoPE (true) or before */
} pf_model;

/* How attention scores q and k: q.k scale, then cap tanh(score / cap) unless cap is 0. */
typedef struct pf_score {
    float scale, cap;
} pf_score;
static inline pf_score pf_model_score(const pf_model *model) {
    return (pf_score){model->attention_scale, model->attention_cap};
}

/* longrope: a session whose context is above the model's divides its angles by other factors, from
 * the first token on. So a text's keys never have to be rotated anew while it grows. (llama.cpp
 * chooses in the same way, transformers by the length of the text so far.) */
static inline bool pf_model_is_long(const pf_model *model, size_t session_context) {
    return model->long_context > 0 && session_context > model->context;
}
const float *pf_model_rope_factors(const pf_model *model, size_t session_context);
/* Tokens that the weights were trained for, whatever the factors. */
static inline uint32_t pf_model_trained(const pf_model *model) {
    return model->long_context > 0 ? model->long_context : model->context;
}

/* How one layer rotates q and k in a session with this context: pf_rope_frequencies of these; dim
 * 0: it does not. The forward pass multiplies by `scale` before it shows q and k to a tap or to
 * attention. */
typedef struct pf_rotary {
    float base;
    const float *factors;
    uint32_t dim;
    float scale;
} pf_rotary;
pf_rotary pf_model_rotary(const pf_model *model, size_t layer, size_t session_context);
/* Angles [n, dim] of positions 0 ... n - 1, for pf_rope_turn. Yours to free; NULL if memory runs
 * out. */
float *pf_rotary_table(pf_rotary rotary, size_t n, pf_error *error);

/* Number of weights (embedding counted once if tied). */
uint64_t pf_model_parameters(const pf_model *model);

#endif
