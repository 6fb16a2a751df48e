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
 * Fails if --context or --kv is not possible. */
bool session_options_from(const options *parsed, const pf_model *model, pf_session_options *session,
                          pf_error *error);

/* The part of the state that the tokens read so far have filled, in bytes: what a session made for
 * just these has. */
size_t state_in_use(const pf_session *session);
/* "state 24.6 kB of 1.0 MB", or "state 136.2 kB" if all is in use. Writes to text [STATE_TEXT] and
 * returns it. */
enum { STATE_TEXT = 48 };
const char *state_text(const pf_session *session, char *text);

/* Warns on standard error if the session runs under favor, but the model was neither trained nor
 * calibrated for it. A loaded state has had its warning. */
void warn_of_favor(const options *parsed, const pf_model *model, const pf_session_options *session);

/* Says how far back a calibrated model with a constant state is exact, as soon as the session's
 * text is longer, and sets *told so that it says so once. Nothing under softmax, or if any head is
 * exact over the whole text. */
void tell_reach(const options *parsed, const pf_session *session, bool *told);
/* Warns if a text of n tokens, or else --context, is longer than the trained context, under softmax
 * or a window over the whole text. n is 0 where the text is not known yet. */
void warn_beyond_training(const options *parsed, const pf_model *model,
                          const pf_session_options *session, size_t n);

/* Warns if encoding left bytes of a text out, for which the vocabulary has no token. */
void warn_of_lost_bytes(const options *parsed, size_t lost);

/* An attention without limit that suits this model, as options or as a setting for chat's
 * /attention. Writes to text [ENDLESS_SIZE] and returns it. */
enum { ENDLESS_SIZE = 64 };
const char *endless_attention(const pf_model *model, bool as_setting, char *text);

/* False if the session has no room for n more tokens; the message says what to do about it. */
bool check_room(const pf_session *session, size_t n, pf_error *error);
/* The message of check_room, for n more tokens. Always false. */
bool fail_no_room(const pf_session *session, size_t n, pf_error *error);

#endif
