/* floor 5.7 - chat commands: the lines of a chat that begin with a slash. */
#define _POSIX_C_SOURCE 200809L
#include "chat_commands.h"

#include "memory.h"
#include "outputs.h"
#include "resources.h"
#include "sampling_flags.h"
#include "session_flags.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t chat_seed(const options *parsed) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return parsed->given[FLAG_SEED] ? parsed->values[FLAG_SEED].count : (uint64_t)now.tv_nsec;
}

pf_sampler *chat_sampler(const chat *c, size_t context, pf_error *error) {
    /* In an answer, a repeated run may pass line breaks: loops of small models do. */
    return sampler_from(&c->settings, c->loaded.tokenizer, c->loaded.model->n_vocab, context,
                        chat_seed(&c->settings), NULL, error);
}

/* ---- answers ---- */

static bool print_answer(void *context, const char *bytes, size_t n) {
    chat *c = context;
    return word_wrap_write(&c->wrap, &c->out, bytes, n);
}

static bool take_turn(chat *c, const char *text, pf_error *error) {
    size_t most = tokens_wanted(&c->settings);
    terminal_forget_interrupt();
    word_wrap_start(&c->wrap, terminal_columns());
    bool good = text ? dialogue_turn(&c->d, text, most, print_answer, c, error)
                     : dialogue_retry(&c->d, most, print_answer, c, error);
    if (good) tell_reach(&c->settings, c->d.session, &c->told_reach);
    output_write(&c->out, "\n", 1);
    if (good && c->d.n_unread)
        note(&c->settings, "performer: interrupted; the last %zu tokens of your text were not read",
             c->d.n_unread);
    return good;
}

bool chat_say(chat *c, const char *text, pf_error *error) { return take_turn(c, text, error); }

bool chat_retry(chat *c, pf_error *error) {
    if (!c->d.last.text) return pf_fail(error, "there is no answer to try again yet");
    return take_turn(c, NULL, error);
}

/* ---- what the commands do ---- */

static bool show_state(chat *c) {
    char state[STATE_TEXT], peak[16], speed[SPEED_TEXT], seconds[16];
    const pf_session *session = c->d.session;
    const pf_attention_options *attention = &pf_session_get_options(session)->attention;
    fprintf(stderr, "%zu token%s read, %s attention, %s; peak memory %s\n",
            pf_session_position(session), plural(pf_session_position(session)),
            pf_attention_name(attention->kind), state_text(session, state),
            human_bytes(peak_rss_bytes(), peak));
    if (c->d.written.decoded)
        fprintf(stderr, "last answer: first token after %s; %zu token%s%s\n",
                human_seconds(c->d.written.first_seconds, seconds), c->d.written.decoded,
                plural(c->d.written.decoded),
                speed_text(&c->d.written, c->loaded.model, attention, 0, speed));
    return true;
}

static bool obey_state(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    (void)error;
    return show_state(c);
}

/* A session with the options given, overridden by a setting such as "favor,features=64". */
static bool obey_attention(chat *c, const char *setting, pf_error *error) {
    char pieces[256];
    options changed = c->settings;
    pf_session_options session;
    changed.given[FLAG_LOAD_STATE] = false;
    if (snprintf(pieces, sizeof pieces, "%s", setting) >= (int)sizeof pieces)
        return pf_fail(error, "/attention: the setting is too long");
    if (!options_parse_setting(&changed, FLAG_ATTENTION, pieces, error) ||
        !session_options_from(&changed, c->loaded.model, &session, error) ||
        !dialogue_switch(&c->d, &session, error))
        return false;
    warn_of_favor(&changed, c->loaded.model, &session);
    return show_state(c);
}

/* What the session has read, not counting a loaded state. */
static bool obey_text(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    (void)error;
    for (size_t i = 0; i < c->d.read.count; i++) {
        size_t n = 0;
        const char *bytes = pf_tokenizer_bytes(c->loaded.tokenizer, c->d.read.ids[i], true, &n);
        if (bytes) fwrite(bytes, 1, n, stderr);
    }
    fputc('\n', stderr);
    return true;
}

static bool obey_ids(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    (void)error;
    for (size_t i = 0; i < c->d.read.count; i++)
        fprintf(stderr, "%s%d", i ? " " : "", c->d.read.ids[i]);
    fputc('\n', stderr);
    return true;
}

static bool obey_reset(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    (void)error;
    size_t n = pf_session_position(c->d.session);
    dialogue_reset(&c->d);
    note(&c->settings, "the dialogue is forgotten (%zu tokens)", n);
    return true;
}

static bool obey_retry(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    return chat_retry(c, error);
}

static void show_system(const dialogue *d) {
    if (d->system && *d->system)
        fprintf(stderr, "the system prompt is: %s\n", d->system);
    else if (d->system || !d->has_template)
        fputs("there is no system prompt\n", stderr);
    else
        fputs("no system prompt is given; the chat template may have its own, which /text shows\n",
              stderr);
}

/* Where the template has no place for it, or there is none, it goes before the first message. */
static bool obey_system(chat *c, const char *text, pf_error *error) {
    if (!*text) {
        show_system(&c->d);
        return true;
    }
    char *copy = pf_strndup(text, strlen(text), error);
    if (!copy) return false;
    pf_free(c->system);
    c->d.system = c->system = copy;
    dialogue_reset(&c->d);
    note(&c->settings, "the system prompt is set, and the dialogue starts anew");
    return true;
}

static bool obey_save(chat *c, const char *path, pf_error *error) {
    if (!c->d.answered) return pf_fail(error, "there is nothing to save yet");
    options given = c->settings; /* a loaded state has been read: it may be replaced */
    given.given[FLAG_LOAD_STATE] = false;
    bool there = access(path, F_OK) == 0;
    if ((there && !outputs_check_path(&given, "/save", FILE_STATE, path, error)) ||
        !dialogue_save(&c->d, path, error))
        return false;
    note(&c->settings, "saved to %s", path);
    return true;
}

/* The dialogue is replaced only once the other one is whole. */
static bool obey_load(chat *c, const char *path, pf_error *error) {
    options changed = c->settings;
    pf_session_options session;
    dialogue other;
    changed.given[FLAG_LOAD_STATE] = true;
    changed.values[FLAG_LOAD_STATE].text = path;
    for (int id = 0; id < FLAG_END; id++) /* the saved attention counts, not the one given */
        if (flags[id].group == GROUP_ATTENTION) changed.given[id] = false;
    if (!session_options_from(&changed, c->loaded.model, &session, error)) return false;
    pf_sampler *sampler = chat_sampler(c, session.context, error);
    if (!sampler ||
        !dialogue_open(&other, &c->loaded, &session, sampler, c->d.system, &c->stops, error))
        return false;
    if (!dialogue_load(&other, path, c->settings.given[FLAG_SEED], error)) {
        dialogue_close(&other);
        return false;
    }
    dialogue_take_template(&other, &c->d);
    dialogue_close(&c->d);
    c->d = other;
    return show_state(c);
}

static bool is_setting(const flag *f) {
    return (f->commands & FOR_CHAT) && f->group == GROUP_SAMPLING && !f->repeats &&
           f->kind != FLAG_SWITCH;
}

static void show_settings(const chat *c) {
    for (int id = 0; id < FLAG_END; id++) {
        const flag *f = &flags[id];
        option_value value = c->settings.values[id];
        if (!is_setting(f)) continue;
        if (id == FLAG_SEED && !c->settings.given[id])
            fprintf(stderr, "%-20s chosen anew by each chat\n", f->name);
        else if (f->kind == FLAG_NUMBER)
            fprintf(stderr, "%-20s %g\n", f->name, value.number);
        else if (f->no_limit && value.count == UINT64_MAX)
            fprintf(stderr, "%-20s -1 (%s)\n", f->name, f->no_limit);
        else
            fprintf(stderr, "%-20s %llu\n", f->name, (unsigned long long)value.count);
    }
}

/* "temperature 0.5" or "temperature=0.5" */
static bool obey_set(chat *c, const char *setting, pf_error *error) {
    char name[64];
    size_t length = strcspn(setting, " =");
    const char *value = setting + length + strspn(setting + length, " =");
    if (!*setting) {
        show_settings(c);
        return true;
    }
    if (!*value) return pf_fail(error, "/set needs a name and a value: /set temperature 0.5");
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), setting);
    options before = c->settings;
    pf_error reason = {""};
    if (!options_set(&c->settings, GROUP_SAMPLING, name, value, &reason))
        return pf_fail(error, "/set: %s; /set alone lists all settings", reason.message);
    pf_sampler *sampler = chat_sampler(c, pf_session_get_options(c->d.session)->context, error);
    if (!sampler) {
        c->settings = before;
        return false;
    }
    bool seeded = c->settings.values[FLAG_SEED].count != before.values[FLAG_SEED].count ||
                  c->settings.given[FLAG_SEED] != before.given[FLAG_SEED] ||
                  strcmp(name, "seed") == 0;
    if (!seeded) *pf_sampler_rng(sampler) = *pf_sampler_rng(c->d.sampler);
    dialogue_set_sampler(&c->d, sampler);
    note(&c->settings, "%s is %s", name, value);
    return true;
}

static bool obey_exit(chat *c, const char *argument, pf_error *error) {
    (void)argument;
    (void)error;
    c->ended = true;
    return true;
}

static bool obey_help(chat *c, const char *argument, pf_error *error);

/* ---- the table ---- */

typedef enum taking { NOTHING, MAYBE, SOMETHING } taking;

typedef struct chat_command {
    const char *name;
    taking takes;
    const char *argument; /* as /help shows it; of MAYBE and SOMETHING */
    const char *needs;    /* of SOMETHING: what is missing if nothing is there */
    bool (*obey)(chat *c, const char *argument, pf_error *error);
    const char *help; /* NULL: the same as the one before */
} chat_command;

static const chat_command table[] = {
    {"/attention", SOMETHING, "KIND", "an attention (softmax, favor or local)", obey_attention,
     "switch to softmax, favor or local, e.g. /attention favor,features=128"},
    {"/reset", NOTHING, NULL, NULL, obey_reset, "forget the dialogue and start anew"},
    {"/clear", NOTHING, NULL, NULL, obey_reset, NULL},
    {"/retry", NOTHING, NULL, NULL, obey_retry, "forget the last answer and write another one"},
    {"/system", MAYBE, "TEXT", NULL, obey_system,
     "start anew with this system prompt; alone: show it"},
    {"/set", MAYBE, "NAME VALUE", NULL, obey_set,
     "e.g. /set temperature 0.5; alone: show all settings"},
    {"/save", SOMETHING, "FILE", "a file", obey_save,
     "save the dialogue; --load-state FILE and /load continue it"},
    {"/load", SOMETHING, "FILE", "a file", obey_load, "continue a saved dialogue"},
    {"/state", NOTHING, NULL, NULL, obey_state,
     "show how many tokens were read, their memory and the speed"},
    {"/text", NOTHING, NULL, NULL, obey_text, "show what the model has read, with all markers"},
    {"/ids", NOTHING, NULL, NULL, obey_ids, "the same as ids"},
    {"/help", NOTHING, NULL, NULL, obey_help, "show this list"},
    {"/exit", NOTHING, NULL, NULL, obey_exit, "end the chat"},
    {"/quit", NOTHING, NULL, NULL, obey_exit, NULL},
    {"/bye", NOTHING, NULL, NULL, obey_exit, NULL},
};
enum { COMMANDS = sizeof table / sizeof table[0] };

static bool obey_help(chat *c, const char *argument, pf_error *error) {
    (void)c;
    (void)argument;
    (void)error;
    for (int i = 0; i < COMMANDS;) {
        char names[64];
        const char *help = table[i].help;
        int used =
            snprintf(names, sizeof names, "%s%s%s", table[i].name, table[i].argument ? " " : "",
                     table[i].argument ? table[i].argument : "");
        for (i++; i < COMMANDS && !table[i].help; i++)
            used += snprintf(names + used, sizeof names - (size_t)used, ", %s", table[i].name);
        fprintf(stderr, "%-18s %s\n", names, help);
    }
    fputs("A text of many lines: paste it, end its lines with \\, or put it between \"\"\" and "
          "\"\"\".\n"
          "Tab completes commands. Ctrl-C stops an answer, Ctrl-D ends the chat.\n",
          stderr);
    return true;
}

static const chat_command *find_command(const char *line, size_t length) {
    for (int i = 0; i < COMMANDS; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, line, length) == 0)
            return &table[i];
    return NULL;
}

bool chat_obey(chat *c, const char *line, pf_error *error) {
    size_t length = strcspn(line, " ");
    const char *argument = line + length + strspn(line + length, " ");
    const chat_command *found = find_command(line, length);
    if (!found)
        return pf_fail(error, "unknown command %.*s; /help lists them all",
                       (int)(length < 80 ? length : 80), line);
    if (found->takes == NOTHING && *argument)
        return pf_fail(error, "%s takes nothing behind it, but was given \"%.80s\"", found->name,
                       argument);
    if (found->takes == SOMETHING && !*argument)
        return pf_fail(error, "%s needs %s: %s %s", found->name, found->needs, found->name,
                       found->argument);
    return found->obey(c, argument, error);
}

static bool add_completion(pf_buffer *texts, const char *command, const char *argument,
                           size_t n_argument, const char *end, pf_error *error) {
    return pf_buffer_put(texts, command, strlen(command), error) &&
           pf_buffer_put(texts, argument, n_argument, error) &&
           pf_buffer_put(texts, end, strlen(end) + 1, error);
}

bool chat_completions(pf_buffer *texts, pf_error *error) {
    bool good = true;
    for (int i = 0; good && i < COMMANDS; i++)
        good = add_completion(texts, table[i].name, "", 0, table[i].takes == NOTHING ? "" : " ",
                              error);
    for (int id = 0; good && id < FLAG_END; id++)
        if (is_setting(&flags[id]))
            good =
                add_completion(texts, "/set ", flags[id].name, strlen(flags[id].name), " ", error);
    for (const char *kind = flags[FLAG_ATTENTION].choices; good && *kind;) {
        size_t length = strcspn(kind, "|");
        good = add_completion(texts, "/attention ", kind, length, "", error);
        kind += length + (kind[length] == '|');
    }
    return good && pf_buffer_put(texts, "", 1, error);
}
