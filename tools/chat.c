/* floor 5.8 - chat: a dialogue at a terminal or through a pipe. */
#include "choose_template.h"
#include "commands.h"
#include "dialogue.h"
#include "line_input.h"
#include "open_model.h"
#include "resources.h"
#include "session_flags.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct chat {
    const options *parsed;
    pf_loaded loaded;
    dialogue d;
    line_input *input;
    output out;
} chat;

static const char help[] =
    "/attention KIND   switch to softmax, favor or local, e.g. /attention favor,features=128\n"
    "/reset            forget the dialogue and start anew\n"
    "/save FILE        save the dialogue; performer chat --load-state FILE continues it\n"
    "/state            show how many tokens were read, and the memory they take\n"
    "/text, /ids       show what the model has read, as text with all markers or as ids\n"
    "/help             show this list\n"
    "Ctrl-C stops an answer, Ctrl-D ends the chat.\n";

static pf_sampler_options sampling_of(const options *parsed) {
    const option_value *values = parsed->values;
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (pf_sampler_options){
        .temperature = (float)values[FLAG_TEMPERATURE].number,
        .top_k = (size_t)values[FLAG_TOP_K].count,
        .top_p = (float)values[FLAG_TOP_P].number,
        .min_p = (float)values[FLAG_MIN_P].number,
        .seed = parsed->given[FLAG_SEED] ? values[FLAG_SEED].count : (uint64_t)now.tv_nsec,
    };
}

static bool open_chat(chat *c, pf_error *error) {
    const options *parsed = c->parsed;
    pf_session_options session;
    if (!load_model(parsed, &c->loaded, error)) return false;
    if (!c->loaded.tokenizer)
        return pf_fail(error,
                       "%s has no tokenizer; add one with `performer convert --tokenizer FILE`",
                       parsed->model);
    pf_sampler_options sampling = sampling_of(parsed);
    const char *system = parsed->given[FLAG_SYSTEM] ? parsed->values[FLAG_SYSTEM].text : NULL;
    if (!session_options_from(parsed, c->loaded.model, &session, error) ||
        !dialogue_open(&c->d, &c->loaded, &session, &sampling, system, error) ||
        !choose_template(parsed, &c->loaded, &c->d.template, &c->d.has_template, error))
        return false;
    warn_of_favor(parsed, c->loaded.model, &session);
    warn_beyond_training(parsed, c->loaded.model, &session, 0);
    if (!c->d.has_template && !parsed->given[FLAG_RAW])
        note(parsed,
             "performer: %s has no chat template, so the model just continues your text; choose "
             "one with --template NAME|FILE",
             parsed->model);
    if (parsed->given[FLAG_LOAD_STATE] &&
        !dialogue_load(&c->d, parsed->values[FLAG_LOAD_STATE].text, parsed->given[FLAG_SEED],
                       error))
        return false;
    c->input = line_input_new("> ", error);
    return c->input != NULL;
}

/* ---- slash commands ---- */

/* Opens a session with the options given, overridden by a setting such as "favor,features=64". */
static bool switch_attention(chat *c, const char *setting, pf_error *error) {
    char pieces[256];
    options changed = *c->parsed;
    pf_session_options session;
    changed.given[FLAG_LOAD_STATE] = false;
    if (snprintf(pieces, sizeof pieces, "%s", setting) >= (int)sizeof pieces)
        return pf_fail(error, "/attention: the setting is too long");
    if (!options_parse_setting(&changed, FLAG_ATTENTION, pieces, error) ||
        !session_options_from(&changed, c->loaded.model, &session, error) ||
        !dialogue_switch(&c->d, &session, error))
        return false;
    warn_of_favor(&changed, c->loaded.model, &session);
    return true;
}

static void show_state(const chat *c) {
    char size[16], peak[16];
    const pf_session *session = c->d.session;
    fprintf(stderr, "%zu tokens read, %s attention, state %s; peak memory %s\n",
            pf_session_position(session),
            pf_attention_name(pf_session_get_options(session)->attention.kind),
            human_bytes(pf_session_state_bytes(session), size),
            human_bytes(peak_rss_bytes(), peak));
}

/* What the session has read, not counting a loaded state. */
static void show_text(const chat *c) {
    for (size_t i = 0; i < c->d.read.count; i++) {
        size_t n = 0;
        const char *bytes = pf_tokenizer_bytes(c->loaded.tokenizer, c->d.read.ids[i], true, &n);
        if (bytes) fwrite(bytes, 1, n, stderr);
    }
    fputc('\n', stderr);
}

static void show_ids(const chat *c) {
    for (size_t i = 0; i < c->d.read.count; i++)
        fprintf(stderr, "%s%d", i ? " " : "", c->d.read.ids[i]);
    fputc('\n', stderr);
}

/* The argument of command `name`, or NULL if the line is another command. */
static const char *argument_of(const char *line, const char *name) {
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0 || (line[n] != ' ' && line[n] != '\0')) return NULL;
    return line + n + strspn(line + n, " ");
}

static bool obey(chat *c, const char *line, pf_error *error) {
    const char *argument;
    if (argument_of(line, "/help")) {
        fputs(help, stderr);
    } else if (argument_of(line, "/reset")) {
        dialogue_reset(&c->d);
    } else if (argument_of(line, "/state")) {
        show_state(c);
    } else if (argument_of(line, "/text")) {
        show_text(c);
    } else if (argument_of(line, "/ids")) {
        show_ids(c);
    } else if ((argument = argument_of(line, "/save"))) {
        if (!*argument) return pf_fail(error, "/save needs a file: /save FILE");
        if (!c->d.answered) return pf_fail(error, "there is nothing to save yet");
        return dialogue_save(&c->d, argument, error);
    } else if ((argument = argument_of(line, "/attention"))) {
        if (!*argument)
            return pf_fail(error, "/attention needs an attention: softmax, favor or local");
        if (!switch_attention(c, argument, error)) return false;
        show_state(c);
    } else {
        return pf_fail(error, "unknown command %.*s; /help lists them all", (int)strcspn(line, " "),
                       line);
    }
    return true;
}

/* ---- the dialogue ---- */

static bool print_answer(void *context, const char *bytes, size_t n) {
    chat *c = context;
    return output_write(&c->out, bytes, n);
}

static bool turn(chat *c, const char *line, pf_error *error) {
    terminal_forget_interrupt();
    bool good = dialogue_turn(&c->d, line, (size_t)c->parsed->values[FLAG_N_TOKENS].count,
                              print_answer, c, error);
    output_write(&c->out, "\n", 1);
    if (good && c->d.n_unread)
        note(c->parsed, "performer: interrupted; the last %zu tokens of your text were not read",
             c->d.n_unread);
    return good;
}

/* Reports a command or a turn that fails, and goes on. Returns true if none did. */
static bool converse(chat *c) {
    bool all_good = true;
    const char *line;
    size_t n;
    for (line_result result; !c->out.failure; fflush(stdout)) {
        result = line_input_read(c->input, &line, &n);
        if (result == LINE_END) break;
        if (result == LINE_INTERRUPTED) {
            output_write(&c->out, "\n", 1);
            continue;
        }
        pf_error error = {""};
        if (n == 0) continue;
        bool good = *line == '/' ? obey(c, line, &error) : turn(c, line, &error);
        if (!good) complain(&error);
        all_good = all_good && good;
    }
    return all_good;
}

static int run(const options *parsed) {
    chat c = {.parsed = parsed};
    pf_error error = {""};
    int status = EXIT_FAILED;
    if (open_chat(&c, &error)) {
        terminal_keep_interrupts();
        c.out.unbuffered = true; /* the reader is waiting */
        if (output_is_terminal()) note(parsed, "/help lists the commands; Ctrl-D ends the chat");
        bool good = converse(&c);
        status = output_finish(&c.out);
        if (!good && !output_is_terminal()) status = EXIT_FAILED;
    } else {
        complain(&error);
    }
    line_input_free(c.input);
    dialogue_close(&c.d);
    pf_loaded_close(&c.loaded);
    return status;
}

const command command_chat = {
    .name = "chat",
    .bit = FOR_CHAT,
    .usage = "MODEL [options]",
    .summary = "talk to a model, using its chat template",
    .manual =
        "Reads a line, answers it, and remembers the whole dialogue; each turn reads only what is "
        "new. At a terminal you can edit the line and recall earlier ones. From a pipe, every line "
        "is a turn, and only the answers go to standard output.\n\n"
        "Turns are wrapped in the model's own chat template, or in another that you choose with "
        "--template; without one, or with --raw, the model continues your text. An answer ends at "
        "the model's end of turn, after --tokens tokens, or at Ctrl-C.\n\n"
        "Lines that begin with a slash are commands: /attention favor switches to another "
        "attention, which reads the dialogue again; /reset forgets the dialogue; /save FILE saves "
        "it; /state shows its size; /text and /ids show what the model has read, markers included; "
        "/help lists the commands. Ctrl-D ends the chat.\n\n"
        "Softmax keeps the keys and values of at most --context tokens. A turn that does not fit "
        "is not read, and an answer stops at the limit; nothing is forgotten silently. You can "
        "then continue without a limit under the attention that the message names (unless "
        "positions are learned): /attention favor for a model trained or calibrated for it, a "
        "window such as /attention local,window=1024,sinks=4 for others. Or start anew with "
        "/reset.",
    .examples = "performer chat models/downloads/smollm2-135m-instruct.gguf\n"
                "echo \"What is gravity?\" | performer chat model.gguf -t 0 --attention favor",
    .run = run,
};
