/* floor 5.3 - saved state: session, sampler and decoder, for --save-state and --load-state. */
#ifndef SAVED_STATE_H
#define SAVED_STATE_H

#include "sampler.h"
#include "session.h"
#include "tokenizer.h"

/* Everything a text needs to continue. All borrowed. */
typedef struct saved_state {
    pf_session *session;
    pf_sampler *sampler;
    pf_decoder *decoder;
    float *logits; /* [V] after the last token read */
} saved_state;

/* pending [n_pending]: ids that the session has not read yet. If there are none, the logits are
 * saved instead. */
bool saved_state_save(const saved_state *state, const int32_t *pending, size_t n_pending,
                      const char *path, pf_error *error);
/* Appends to *pending the ids that the session has not read yet; if there are none, sets
 * state->logits. The sampler continues with the saved random numbers unless keep_seed is true. */
bool saved_state_load(const saved_state *state, pf_tokens *pending, bool keep_seed,
                      const char *path, pf_error *error);

#endif
