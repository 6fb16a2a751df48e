/* floor 2.3 - forward: the whole model on a page or two. */
#ifndef PF_FORWARD_H
#define PF_FORWARD_H

#include "session_state.h"

/* Work of one team member for the session's current chunk (session->tokens, n, n_logits, logits):
 * from token ids to logits. context is the pf_session; see pf_parallel. */
void pf_forward(void *context, pf_member me);

/* The same in pieces, for whoever computes layer by layer over whole texts with an attention of its own
 * (layerwise.h). Each is for the session's current chunk; barriers are inside.
 *   embed    tokens -> s->x
 *   project  s->x -> s->q, s->k, s->v of a layer, before RoPE
 *   finish   s->heads -> s->x after the layer
 *   logits   the last n_logits rows of s->x after all layers -> s->logits */
void pf_forward_embed(pf_session *s, pf_member me);
void pf_forward_project(pf_session *s, pf_member me, size_t layer);
void pf_forward_finish(pf_session *s, pf_member me, size_t layer);
void pf_forward_logits(pf_session *s, pf_member me);

#endif
