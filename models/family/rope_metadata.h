/* floor 4.1 - RoPE metadata: keys and tensors of a checkpoint -> how its model rotates q and k.
 *
 * Keys, where X is the family:
 *
 *   X.rope.dimension_count    the dims of a head that rotate; head_dim if absent
 *   X.rope.freq_base          theta; 10000 if absent
 *   X.rope.scaling.type       none, linear (if absent), yarn or longrope
 *   X.rope.scaling.factor     s; 1 if absent (older files: X.rope.scale_linear)
 *   X.rope.scaling.original_context_length      n, before scaling; context_length if absent
 *   X.rope.scaling.attn_factor                  multiplies what rotates; 1 if absent
 *   X.rope.scaling.yarn_beta_fast, .yarn_beta_slow, .yarn_ext_factor, .yarn_log_multiplier
 *                                               32, 1, 1 and 0 if absent
 *
 * Tensors: rope_freqs.weight [dims / 2], by which angles are divided (Llama 3's scaling); or
 * longrope's rope_factors_short.weight and rope_factors_long.weight.
 *
 * YaRN (Peng et al. 2023, https://arxiv.org/abs/2309.00071, section 3.2 and 3.4): pairs that turn
 * more than beta_fast times in n tokens keep their angle, those that turn less than beta_slow times
 * have it divided by s, and pairs between them a blend. q and k become larger by
 * 0.1 ln(s) + 1.
 */
#ifndef PF_ROPE_METADATA_H
#define PF_ROPE_METADATA_H

#include "bind.h"
#include "keys.h"
#include "model.h"

/* Fills in rope_dim, rope_base, rope_factors and rope_scale. With longrope, which has short factors
 * for texts up to the original context and long ones for others, `context` becomes the original one
 * and long_context what it was. The model's sizes must be set. Messages do not name the file. */
bool pf_rope_bind(pf_binder *binder, const pf_keys *keys, pf_model *model);

#endif
