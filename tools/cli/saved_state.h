/* floor 5.3 - saved state: --save-state and --load-state: a session, a sampler and a decoder together. */
#ifndef SAVED_STATE_H
#define SAVED_STATE_H

#include "sampler.h"
#include "session.h"
#include "tokenizer.h"

/* What has to go on when a text goes on. All borrowed. */
typedef struct saved_state {
    pf_session *session;
    pf_sampler *sampler;
    pf_decoder *decoder;
    float *logits; /* [V] after the last token read */
} saved_state;

/* pending [n_pending]: ids that the session has still to read; where there are none, the logits are saved
 * in their place. */
bool saved_state_save(const saved_state *state, const int32_t *pending, size_t n_pending,
                      const char *path, pf_error *error);
/* Appends the ids that are still to be read to *pending; if there are none, state->logits are set. The
 * sampler goes on with its saved random numbers only if keep_seed is false. */
bool saved_state_load(const saved_state *state, pf_tokens *pending, bool keep_seed,
                      const char *path, pf_error *error);

#endif
