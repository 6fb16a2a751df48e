/* floor 5.7 - chat commands: the lines of a chat that begin with a slash. */
#ifndef CHAT_COMMANDS_H
#define CHAT_COMMANDS_H

#include "buffer.h"
#include "dialogue.h"
#include "line_input.h"
#include "word_wrap.h"

typedef struct chat {
    options settings; /* as given, changed by /set */
    pf_loaded loaded;
    dialogue d;
    line_input *input;
    const char *stop_list[OPTIONS_MAX_REPEATS];
    pf_stop_texts stops;
    char history[4096]; /* the path of the history file */
    pf_buffer completions;
    char *system;    /* owned: what /system has set, or NULL */
    bool ended;      /* by /exit */
    bool told_reach; /* see tell_reach */
    output out;
    word_wrap wrap;
} chat;

/* A seed: --seed, or else another one each time. */
uint64_t chat_seed(const options *parsed);
pf_sampler *chat_sampler(const chat *c, size_t context, pf_error *error);

/* Obeys a line that begins with a slash. */
bool chat_obey(chat *c, const char *line, pf_error *error);
/* Says something, or repeats the last turn, and prints the answer. */
bool chat_say(chat *c, const char *text, pf_error *error);
bool chat_retry(chat *c, pf_error *error);

/* What Tab may complete a line to, for line_input_options. */
bool chat_completions(pf_buffer *texts, pf_error *error);

#endif
