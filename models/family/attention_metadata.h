/* floor 4.1 - favor keys: performer.* and blk.N.favor.* of a checkpoint -> how its model attends.
 *
 *   performer.attention       softmax (if absent), favor or local
 *   performer.features        M; 64 if absent
 *   performer.map, .projection, .epsilon, .seed, .window, .sinks
 *   performer.windows, .head_features   arrays [layers, KV heads], instead of window and features
 *   performer.tail_rope       true if absent
 *   blk.N.favor.projection    [D, M], [D, M, KV heads] or [D, M, heads]
 *   blk.N.favor.q_center, k_center, proposal    [D, KV heads]
 *   blk.N.favor.q_map, k_map                    [D, D, KV heads]
 *   blk.N.favor.{q,k}.weight, .bias    [D, M + 1, heads] and [M + 1, heads] for q, KV heads for k
 *
 * Shapes are GGUF's, the contiguous axis first. All tensors are optional, but centers, maps and fitted
 * tensors each come together or not at all.
 */
#ifndef PF_ATTENTION_METADATA_H
#define PF_ATTENTION_METADATA_H

#include "bind.h"
#include "model.h"

/* The model's sizes must be there; fills in attention, windows, head_features, tail_rope, and `favor`
 * of its layers. */
bool pf_attention_bind(pf_binder *binder, pf_model *model, pf_layer *layers, pf_error *error);

#endif
