/* floor 4.1 - attention metadata: how a checkpoint's model attends, read and written.
 *
 * Keys (arrays have one number per layer and KV head, layer after layer):
 *
 *   performer.attention        softmax (if absent), favor or local
 *   performer.features         M, features per head; 64 if absent
 *   performer.map, .projection, .epsilon, .seed, .window, .sinks, .forget
 *                              see attention_options.h, which also has the defaults
 *   performer.windows          array, in place of performer.window
 *   performer.head_features    array, in place of performer.features
 *   performer.tail_rope        bool: features are of q and k after RoPE; true if absent
 *
 * Tensors, all optional; the contiguous axis comes first:
 *
 *   blk.N.favor.projection              [D, M], [D, M, KV heads] or [D, M, heads]
 *   blk.N.favor.q_center, .k_center     [D, KV heads]; both or neither
 *   blk.N.favor.proposal                [D, KV heads]
 *   blk.N.favor.q_map, .k_map           [D, D, KV heads]; both or neither; only with centers
 *   blk.N.favor.q.weight, .q.bias       [D, M + 1, heads], [M + 1, heads]
 *   blk.N.favor.k.weight, .k.bias       [D, M + 1, KV heads], [M + 1, KV heads]; all four or none
 */
#ifndef PF_ATTENTION_METADATA_H
#define PF_ATTENTION_METADATA_H

#include "bind.h"
#include "model.h"

/* Fills in the model's attention, windows, head_features and tail_rope, and `favor` of its layers.
 * The model's sizes must be set. Messages do not name the file. */
bool pf_attention_bind(pf_binder *binder, pf_model *model, pf_layer *layers, pf_error *error);

/* Sets the keys that hold pf_attention_options: performer.attention, for local and favor also
 * window and sinks, and for favor also features, map, projection, epsilon and seed, and forget
 * unless 0. */
bool pf_attention_to_checkpoint(const pf_attention_options *attention, pf_checkpoint *checkpoint,
                                pf_error *error);

#endif
