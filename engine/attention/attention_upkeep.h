/* floor 1.16 - attention upkeep: angles and features brought up to date as a text goes on. */
#ifndef PF_ATTENTION_UPKEEP_H
#define PF_ATTENTION_UPKEEP_H

#include "attention_private.h"

/* The rotary angles of T positions into the ring. */
void pf_attention_compute_angles(pf_attention *attention, size_t position, size_t T);

/* Features of draw number `draw` for head `index`; scratch: [D, D]. */
void pf_attention_draw_head(pf_attention *attention, size_t index, uint32_t draw, double *scratch);

/* Whether a snapshot has only the part in use of the head's cache: that grows with the text. */
bool pf_attention_saves_part(const pf_attention *attention, size_t index);

/* Whether features are drawn anew every so many tokens of a text. */
bool pf_attention_redraws_in_text(const pf_attention *attention);

/* Draws head `index` anew, if that is due at `position`, and folds its history again. Returns how
 * many of the T >= 1 tokens from there on come before the next redraw: all, where there is none. */
size_t pf_attention_redraw_if_due(pf_attention *attention, pf_member member, size_t index,
                                  size_t position, size_t T);

/* With options.noncausal_stabilizer: raises the running maximum of a head's tails to the largest
 * that T keys from `position` on will have, as reference code does. Rows k lie
 * pf_attention_stride_kv apart. For heads without sinks and window. */
void pf_attention_stabilize_noncausally(pf_attention *attention, pf_member member, size_t index,
                                        size_t position, size_t T, const float *k);

#endif
