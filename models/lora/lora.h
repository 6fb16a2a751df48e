/* floor 4.4 - LoRA: adapters, merged into the matrices of a model.
 *
 *   W' = W + scale * alpha / rank * B A       (Hu 2021, section 4.1)
 *
 * Adapters come in two forms:
 *   - a GGUF file as llama.cpp has it: general.type "adapter", adapter.type "lora",
 *     adapter.lora.alpha (0: the factor is the scale alone), and for each matrix NAME the tensors
 *     NAME.lora_a [rank, cols] and NAME.lora_b [rows, rank]
 *   - a folder as Hugging Face's PEFT saves it: adapter_config.json, adapter_model.safetensors
 */
#ifndef PF_LORA_H
#define PF_LORA_H

#include "checkpoint.h"

typedef struct pf_lora_source {
    const char *path;
    float scale; /* 1: as trained */
} pf_lora_source;

/* Merges the adapters [n] into the checkpoint, which is in GGUF's terms (import.h), one after the
 * other. The matrices that change are made when they are needed, by n_threads: F32 if they were
 * F32, otherwise F16; all others stay as they are. On failure, with a message that names the
 * adapter, the checkpoint can only be freed. */
bool pf_lora_merge(pf_checkpoint *checkpoint, const pf_lora_source *adapters, size_t n,
                   int n_threads, pf_error *error);

#endif
