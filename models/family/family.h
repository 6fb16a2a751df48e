/* floor 4.1 - families: a checkpoint's hyperparameters and tensors -> pf_model.
 *
 * A family is a row of the table in family.c: kinds of norm, position and MLP, and how its tensors are
 * stored. To add one, add its row, and what is new about it to engine/forward.c.
 *
 * Keys (X = general.architecture), all of GGUF:
 *   X.block_count, X.embedding_length, X.feed_forward_length, X.attention.head_count, X.context_length
 *   X.attention.head_count_kv        as head_count if absent
 *   X.attention.key_length           head dim; embedding_length / head_count if absent
 *   X.attention.layer_norm_epsilon or layer_norm_rms_epsilon   there is no default
 *   X.attention.scale                1 / sqrt(head dim) if absent
 *   X.attention.sliding_window       the context shrinks to it: within it the attention is the model's own
 *   X.rope.dimension_count, X.rope.freq_base                   head dim and 10000 if absent
 *   X.rope.scaling.type, .factor, .original_context_length, .attn_factor
 * and in the family `performer`, whose kinds are the file's choice:
 *   performer.norm         layer (if absent) or rms; biases are bound where they are
 *   performer.activation   gelu (exact; if absent), gelu_tanh, relu, swiglu, geglu; also in gpt2
 *   performer.position     none (if absent), rope_adjacent or rope_halves: what turns q and k. Beside it
 *                          position_embd.weight [context, C], if it is there, is added to the tokens
 * The vocabulary is as large as token_embd.weight has rows. Scaled RoPE: `linear`, the tensor
 * rope_freqs.weight (Llama 3), and `longrope` (phi3) up to the original context, with its short
 * factors; `yarn` is refused. Biases are bound where they are, and required where the family has them.
 */
#ifndef PF_FAMILY_H
#define PF_FAMILY_H

#include "bind.h"
#include "model.h"

/* Fills in everything but the attention (favor_keys.h). *layers: the model's layers, still to be
 * written to; they live in the checkpoint's memory. Messages do not name the file. */
bool pf_family_bind(pf_binder *binder, pf_model *model, pf_layer **layers, pf_error *error);

/* "llama, qwen2, ...": the families there are. Returns text. */
const char *pf_family_names(char *text, size_t size);

#endif
