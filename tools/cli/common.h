/* floor 5.3 - common: what several commands do: options -> attention and session, texts -> ids. */
#ifndef COMMON_H
#define COMMON_H

#include "checkpoint.h"
#include "input.h"
#include "load.h"
#include "session.h"
#include "terminal.h"

/* True if an option about attention was given. */
bool attention_is_given(const options *parsed);
/* Puts what was given in place of what *attention says; notes on standard error what has no effect. */
void attention_apply(const options *parsed, pf_attention_options *attention);

/* The session options of the checkpoint, or of --load-state, with the given ones in their place. False with a sentence if
 * --context cannot be; a context beyond the trained one is noted on standard error. */
bool session_options_from(const options *parsed, const pf_model *model, pf_session_options *session,
                          pf_error *error);

/* The model that is named, ready to compute: its weights are numbers. */
bool load_model(const options *parsed, pf_loaded *loaded, pf_error *error);

/* The tokenizer alone, from a checkpoint that need not have tensors. NULL with a sentence that names
 * the file if there is none. */
pf_tokenizer *tokenizer_from_checkpoint(const pf_checkpoint *checkpoint, pf_error *error);

/* n tokens more than the session can hold: says so and what to do, and returns false. */
bool check_room(const pf_session *session, size_t n, pf_error *error);

/* "12.3 MB" into text [16]. */
const char *human_bytes(uint64_t bytes, char *text);
double seconds_now(void);         /* monotonic */
uint64_t peak_rss_bytes(void);    /* the most memory the process ever had resident */
uint64_t current_rss_bytes(void); /* now; 0 where the system does not tell */

#endif
