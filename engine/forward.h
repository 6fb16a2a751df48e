/* floor 2.3 - forward: the whole model, from token ids to logits. */
#ifndef PF_FORWARD_H
#define PF_FORWARD_H

#include "session_state.h"

/* One team member's share of the session's current chunk (session->tokens, n, n_logits, logits).
 * context is the pf_session; see pf_parallel. pf_session_append, in forward.c, runs it. */
void pf_forward(void *context, pf_member me);

/* Its pieces, for code that computes whole texts layer by layer with its own attention
 * (layerwise.h). Each works on the session's current chunk and has its barriers inside.
 *   embed    tokens -> s->x
 *   project  s->x -> s->q, s->k, s->v of a layer, before RoPE
 *   finish   s->heads -> s->x after the layer
 *   logits   the last n_logits rows of s->x after all layers -> s->logits */
void pf_forward_embed(pf_session *s, pf_member me);
void pf_forward_project(pf_session *s, pf_member me, size_t layer);
void pf_forward_finish(pf_session *s, pf_member me, size_t layer);
void pf_forward_logits(pf_session *s, pf_member me);

#endif
