/* floor 4.1 - Hugging Face config: the hyperparameters in config.json -> GGUF's keys. */
#ifndef PF_HF_CONFIG_H
#define PF_HF_CONFIG_H

#include "checkpoint.h"

#include <jansson.h>

/* How a family names its tensors. */
typedef enum pf_hf_names {
    PF_HF_NAMES_LLAMA, /* model.layers.N.self_attn..., of most families */
    PF_HF_NAMES_GPT2,  /* transformer.h.N.attn.c_attn... */
    PF_HF_NAMES_GPT_NEO,
    PF_HF_NAMES_GPT_NEOX,
    PF_HF_NAMES_OPT
} pf_hf_names;

/* What reading the tensors and the tokenizer depends on. */
typedef struct pf_hf_config {
    pf_hf_names names;
    uint32_t n_layers, n_heads, n_kv_heads;
    bool tied;       /* the output matrix is the embedding */
    bool adjacent;   /* GGUF rotates neighbours, so rows of q and k change places (llama) */
    bool plus_one;   /* weights of norms are stored less 1 (gemma) */
    bool post_norms; /* post_attention_layernorm is the norm of what attention adds */
    bool qwen;       /* Qwen's rules for cutting text, where files do not give them */
} pf_hf_config;

/* Reads and checks the fields and sets GGUF's keys in `checkpoint`; for the RoPE scalings llama3
 * and longrope it also adds tensors. Whatever would change the result but is not supported is
 * refused by name: other model_types, activations and RoPE scalings, quantised weights. Messages do
 * not name the file. */
bool pf_hf_config_read(const json_t *config, pf_checkpoint *checkpoint, pf_hf_config *result,
                       pf_error *error);

/* What Hugging Face's files would say about a model that is in GGUF's terms, but for `tied` and
 * `qwen`: to read what belongs to the model, such as an adapter. */
bool pf_hf_config_of(const pf_checkpoint *checkpoint, pf_hf_config *result, pf_error *error);

#endif
