/* floor 2.3 - forward: the whole model on a page or two. */
#ifndef PF_FORWARD_H
#define PF_FORWARD_H

#include "session_state.h"

/* Work of one team member for the session's current chunk (session->tokens, n, n_logits, logits):
 * from token ids to logits. context is the pf_session; see pf_parallel. */
void pf_forward(void *context, pf_member me);

#endif
