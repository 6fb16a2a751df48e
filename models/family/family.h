/* floor 4.2 - family: a checkpoint's hyperparameters and tensors -> pf_model.
 *
 * A family is one row of the table in family.c: which norm, positions and MLP it has, and how its
 * tensors are stored. To add a family, add a row; what is new about the computation goes into
 * engine/forward.c.
 *
 * GGUF's keys, where X is the family (general.architecture):
 *
 *   X.block_count, X.embedding_length,
 *   X.feed_forward_length, X.context_length,
 *   X.attention.head_count               required
 *   X.attention.layer_norm_epsilon       required; for an RMS norm, layer_norm_rms_epsilon
 *   X.attention.head_count_kv            head_count if absent
 *   X.attention.key_length               head_dim; embedding_length / head_count if absent
 *   X.attention.scale                    1 / sqrt(head_dim) if absent
 *   X.attention.sliding_window           tokens that a sliding layer sees; no such layers if absent
 *   X.attention.sliding_window_pattern   N: every Nth layer does not slide; or a truth value per
 *                                        layer. If absent, all slide, but gemma2: 2, gemma3: 6
 *   X.rope.freq_base_swa                 theta of sliding layers; freq_base if absent, but gemma3:
 *                                        10000
 *   X.attn_logit_softcapping, .final_logit_softcapping   no caps if absent or 0
 *   X.rope...                            see rope_metadata.h
 *
 * The family `performer` chooses by keys what other families fix:
 *
 *   performer.norm          layer (if absent) or rms
 *   performer.activation    gelu (exact; if absent), gelu_tanh, relu, swiglu or geglu
 *                           (gpt2, gptneo and opt have such a key too: gpt2.activation)
 *   performer.position      how q and k rotate: none (if absent), rope_adjacent or rope_halves;
 *                           in any case a tensor position_embd.weight [context, C] is added to the
 *                           embeddings if there is one
 *
 * gptneo and opt are names of ours: GGUF has none for them.
 *
 * The rows of token_embd.weight are the vocabulary. A bias is bound if the file has it, and
 * required if the family has it.
 */
#ifndef PF_FAMILY_H
#define PF_FAMILY_H

#include "bind.h"
#include "model.h"

/* Fills in the model, except for what pf_attention_bind (attention_metadata.h) does. *layers is the
 * model's layers, still writable; the checkpoint owns them. Messages do not name the file. */
bool pf_family_bind(pf_binder *binder, pf_model *model, pf_layer **layers, pf_error *error);

/* Writes the names of all families, "llama, qwen2, ...", to `text` and returns it. */
const char *pf_family_names(char *text, size_t size);

#endif
