/* floor 5.6 - dialogue: turns of a person and a model, over one session that keeps all of them.
 *
 * Only what is new is read: a turn's text begins behind what the model wrote last. Under Performer attention
 * neither the state nor the time of a turn grows with the turns before.
 */
#ifndef DIALOGUE_H
#define DIALOGUE_H

#include "chat_template.h"
#include "load.h"
#include "sampler.h"
#include "session.h"

typedef struct dialogue {
    const pf_loaded *loaded;
    bool has_template; /* false: what is said is just continued */
    pf_chat_template template;
    const char *system; /* the system prompt, NULL: the template's own */
    pf_session *session;
    pf_sampler *sampler;
    float *logits; /* [V] after the last token read */
    char *piece;
    pf_decoder decoder;
    pf_tokens
        read; /* all that the session has read; whole is false if it began with a loaded state */
    bool whole;
    bool answered; /* there are turns before the next one */
} dialogue;

/* The template is that of the checkpoint; *loaded must outlive the dialogue. */
bool dialogue_open(dialogue *d, const pf_loaded *loaded, const pf_session_options *session,
                   const pf_sampler_options *sampling, const char *system, pf_error *error);
void dialogue_close(dialogue *d); /* a zeroed one is allowed */

/* Receives the answer as it comes; false ends it. */
typedef bool (*dialogue_listener)(void *context, const char *bytes, size_t n);

/* Says text and reads the answer, of most_tokens at most; stops early where the listener does, or at Ctrl-C
 * (a long text is then read in part, and the next turn begins behind that part). On failure (the context
 * is full) the dialogue stays as it was before the turn, as far as nothing had been read of it. */
bool dialogue_turn(dialogue *d, const char *text, size_t most_tokens, dialogue_listener listener,
                   void *context, pf_error *error);

void dialogue_reset(dialogue *d);
/* The same dialogue under other attention, which reads it all again. */
bool dialogue_switch(dialogue *d, const pf_session_options *session, pf_error *error);
bool dialogue_save(const dialogue *d, const char *path, pf_error *error);
bool dialogue_load(dialogue *d, const char *path, bool keep_seed, pf_error *error);

#endif
