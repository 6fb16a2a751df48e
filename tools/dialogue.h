/* floor 5.6 - dialogue: turns of a person and a model in one session.
 *
 * Each turn reads only its own text, which follows what the model wrote last. Under Performer
 * attention, neither the state nor the time per turn grows with the number of turns.
 */
#ifndef DIALOGUE_H
#define DIALOGUE_H

#include "chat_template.h"
#include "load.h"
#include "sampler.h"
#include "session.h"
#include "speed.h"
#include "stop_texts.h"

typedef struct dialogue {
    const pf_loaded *loaded;
    bool has_template; /* false: the model simply continues the text, as after dialogue_open */
    pf_chat_template template;
    const char *system; /* the system prompt; NULL: the template's default, if any */
    pf_session *session;
    pf_sampler *sampler;  /* owned; its penalties see only the answer that it writes */
    pf_stop_texts *stops; /* borrowed; end an answer */
    float *logits;        /* [V] after the last token read */
    char *piece;
    pf_decoder decoder;
    pf_tokens read;     /* the tokens that the session has read */
    bool whole;         /* read is all of them; false if the session began with a loaded state */
    bool answered;      /* there was a turn before the next one */
    text_speed written; /* of the last answer */
    size_t n_unread;    /* tokens of the last turn's text that Ctrl-C kept from being read */
    struct {
        char *text;    /* what the person said in the last turn; NULL: there was none */
        size_t n_read; /* `read.count` and `answered` before it */
        bool answered;
    } last;
} dialogue;

/* Without a template; give it one in d->template, which it then owns. *loaded, system and stops
 * must outlive the dialogue. The sampler is its own from now on, also on failure. */
bool dialogue_open(dialogue *d, const pf_loaded *loaded, const pf_session_options *session,
                   pf_sampler *sampler, const char *system, pf_stop_texts *stops, pf_error *error);
void dialogue_close(dialogue *d); /* may be zeroed */

/* Receives the answer piece by piece; return false to end it. */
typedef bool (*dialogue_listener)(void *context, const char *bytes, size_t n);

/* Reads the user's text and writes an answer of up to most_tokens. Stops early when the listener
 * returns false or on Ctrl-C; a long text may then have been read only in part, and the next turn
 * follows that part. If the text does not fit the context, the call fails and the dialogue is
 * unchanged. */
bool dialogue_turn(dialogue *d, const char *text, size_t most_tokens, dialogue_listener listener,
                   void *context, pf_error *error);

/* The last turn once more: forgets the answer, and writes another one. */
bool dialogue_retry(dialogue *d, size_t most_tokens, dialogue_listener listener, void *context,
                    pf_error *error);

/* Moves the template of a dialogue, which is left without one, to another. */
void dialogue_take_template(dialogue *d, dialogue *from);
/* Goes on with another sampler, which the dialogue owns from now on. */
void dialogue_set_sampler(dialogue *d, pf_sampler *sampler);
void dialogue_reset(dialogue *d);
/* Continues the dialogue in a session with other options, which reads all of it again. */
bool dialogue_switch(dialogue *d, const pf_session_options *session, pf_error *error);
bool dialogue_save(const dialogue *d, const char *path, pf_error *error);
bool dialogue_load(dialogue *d, const char *path, bool keep_seed, pf_error *error);

#endif
