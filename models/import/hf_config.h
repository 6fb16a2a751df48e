/* floor 4.1 - Hugging Face config: the hyperparameters in config.json -> GGUF's keys. */
#ifndef PF_HF_CONFIG_H
#define PF_HF_CONFIG_H

#include "checkpoint.h"

#include <jansson.h>

typedef enum pf_hf_family { PF_HF_LLAMA, PF_HF_QWEN2, PF_HF_QWEN3, PF_HF_GPT2 } pf_hf_family;

/* What reading the tensors depends on. */
typedef struct pf_hf_config {
    pf_hf_family family;
    uint32_t n_layers, n_heads, n_kv_heads;
    bool tied; /* the output matrix is the embedding */
} pf_hf_config;

/* Reads and checks the fields and sets GGUF's keys in `checkpoint`; for Llama 3's RoPE scaling it
 * also adds the tensor rope_freqs.weight. Whatever would change the result but is not supported is
 * refused by name: other model_types, activations and RoPE scalings, quantised weights. Messages do
 * not name the file. */
bool pf_hf_config_read(const json_t *config, pf_checkpoint *checkpoint, pf_hf_config *result,
                       pf_error *error);

#endif
