/* floor 5.3 - session flags: what the command line says about attention and the session. */
#ifndef SESSION_FLAGS_H
#define SESSION_FLAGS_H

#include "options.h"
#include "session.h"

/* True if the command line has an option about attention. */
bool attention_is_given(const options *parsed);
/* Overrides *attention with the options given, and warns on standard error about those that have no
 * effect. */
void attention_apply(const options *parsed, pf_attention_options *attention);

/* The checkpoint's session options, or those of --load-state, overridden by the options given.
 * Fails if --context is not possible; warns on standard error if it is longer than the trained
 * one. */
bool session_options_from(const options *parsed, const pf_model *model, pf_session_options *session,
                          pf_error *error);

/* False if the session has no room for n more tokens; the message says what to do about it. */
bool check_room(const pf_session *session, size_t n, pf_error *error);

#endif
