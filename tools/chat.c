/* floor 5.8 - chat: a dialogue at a terminal or through a pipe. */
#include "chat_commands.h"
#include "choose_template.h"
#include "commands.h"
#include "history_file.h"
#include "memory.h"
#include "open_model.h"
#include "session_flags.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool open_dialogue(chat *c, pf_error *error) {
    const options *parsed = &c->settings;
    pf_session_options session;
    const char *system = parsed->given[FLAG_SYSTEM] ? parsed->values[FLAG_SYSTEM].text : NULL;
    if (!session_options_from(parsed, c->loaded.model, &session, error)) return false;
    pf_sampler *sampler = chat_sampler(c, session.context, error);
    if (!sampler ||
        !dialogue_open(&c->d, &c->loaded, &session, sampler, system, &c->stops, error) ||
        !choose_template(parsed, &c->loaded, &c->d.template, &c->d.has_template, error))
        return false;
    warn_of_favor(parsed, c->loaded.model, &session);
    warn_beyond_training(parsed, c->loaded.model, &session, 0);
    return !parsed->given[FLAG_LOAD_STATE] ||
           dialogue_load(&c->d, parsed->values[FLAG_LOAD_STATE].text, parsed->given[FLAG_SEED],
                         error);
}

static bool open_input(chat *c, pf_error *error) {
    bool kept =
        !c->settings.given[FLAG_NO_HISTORY] && history_file_path(c->history, sizeof c->history);
    if (!chat_completions(&c->completions, error)) return false;
    line_input_options lines = {.prompt = "> ",
                                .more_prompt = ". ",
                                .completions = c->completions.bytes,
                                .history = kept ? c->history : NULL};
    c->input = line_input_new(&lines, error);
    return c->input != NULL;
}

static bool open_chat(chat *c, pf_error *error) {
    const options *parsed = &c->settings;
    if (!load_model(parsed, &c->loaded, error)) return false;
    if (!c->loaded.tokenizer)
        return pf_fail(error,
                       "%s has no tokenizer; add one with `performer convert --tokenizer FILE`",
                       parsed->model);
    if (!open_dialogue(c, error)) return false;
    if (!c->d.has_template && !parsed->given[FLAG_RAW])
        note(parsed,
             "performer: %s has no chat template, so the model just continues your text; choose "
             "one with --template NAME|FILE",
             parsed->model);
    return open_input(c, error);
}

/* What a person should know of the chat that begins. */
static void greet(const chat *c) {
    const options *parsed = &c->settings;
    const char *slash = strrchr(parsed->model, '/');
    const pf_session_options *session = pf_session_get_options(c->d.session);
    char context[48] = "no limit of context";
    size_t room = pf_session_room(c->d.session);
    if (room != SIZE_MAX)
        snprintf(context, sizeof context, "context %zu tokens",
                 pf_session_position(c->d.session) + room);
    note(parsed, "%s: %s attention, %s", slash && slash[1] ? slash + 1 : parsed->model,
         pf_attention_name(session->attention.kind), context);
    note(parsed, "/help lists the commands; Ctrl-D ends the chat");
}

/* Answers one entry, or obeys it. */
static bool respond(chat *c, const char *entry, bool quoted, pf_error *error) {
    bool is_command = *entry == '/' && !quoted && !strchr(entry, '\n');
    return is_command ? chat_obey(c, entry, error) : chat_say(c, entry, error);
}

/* Reports a command or a turn that fails, and goes on. Returns true if none did. */
static bool converse(chat *c) {
    bool all_good = true;
    for (; !c->out.failure && !c->ended; fflush(stdout)) {
        const char *entry;
        size_t n;
        pf_error error = {""};
        line_result result = line_input_read(c->input, &entry, &n, &error);
        if (result == LINE_FAILED)
            all_good = complain(&error) == EXIT_DONE;
        else if (*error.message) /* the history cannot be kept */
            note(&c->settings, "performer: %s", error.message);
        if (result == LINE_FAILED || result == LINE_END) break;
        if (result == LINE_INTERRUPTED || n == 0) continue;
        error = (pf_error){""};
        bool good = respond(c, entry, result == LINE_QUOTED, &error);
        if (!good) complain(&error);
        all_good = all_good && good;
    }
    return all_good;
}

static void close_chat(chat *c) {
    line_input_free(c->input);
    dialogue_close(&c->d);
    pf_stop_texts_free(&c->stops);
    pf_loaded_close(&c->loaded);
    pf_free(c->completions.bytes);
    pf_free(c->system);
}

static int run(const options *parsed) {
    chat c = {.settings = *parsed};
    pf_error error = {""};
    int status = EXIT_FAILED;
    if (!pf_stop_texts_start(&c.stops, c.stop_list, options_repeats(parsed, FLAG_STOP, c.stop_list),
                             &error)) {
        close_chat(&c);
        return complain_usage("chat", "--stop: %s", error.message);
    }
    if (open_chat(&c, &error)) {
        terminal_keep_interrupts();
        c.out.unbuffered = true; /* the reader is waiting */
        if (output_is_terminal() && isatty(STDIN_FILENO)) greet(&c);
        bool good = converse(&c);
        status = output_finish(&c.out);
        if (!good && !output_is_terminal()) status = EXIT_FAILED;
    } else {
        complain(&error);
    }
    close_chat(&c);
    return status;
}

const command command_chat = {
    .name = "chat",
    .bit = FOR_CHAT,
    .usage = "MODEL [options]",
    .summary = "talk to a model, using its chat template",
    .manual =
        "Reads a line, answers it, and remembers the whole dialogue; each turn reads only what is "
        "new. At a terminal you can edit the line, recall earlier ones, also those of earlier "
        "chats (--no-history: neither read nor kept), and complete commands with Tab. From a "
        "pipe, every line is a turn, and only the answers go to standard output.\n\n"
        "For a turn of many lines, paste them, end lines with a backslash, or begin and end the "
        "text with three quotes (\"\"\").\n\n"
        "Turns are wrapped in the model's own chat template, whatever it is, or in another that "
        "you choose with --template; without one, or with --raw, the model continues your text. "
        "An answer ends at the model's end of turn, before a --stop text, after --tokens tokens, "
        "or at Ctrl-C.\n\n"
        "Lines that begin with a slash are commands: /attention favor switches to another "
        "attention, which reads the dialogue again; /reset (or /clear) forgets the dialogue; "
        "/retry writes another answer; /system TEXT starts anew with a system prompt; "
        "/set temperature 0.5 changes how tokens are chosen; /save FILE saves the dialogue, and "
        "/load FILE continues it; /state shows its size; /text and /ids show what the model has "
        "read, markers included; /help lists the commands. /exit or Ctrl-D ends the chat.\n\n"
        "Penalties against repetition see only the answer that is being written, so a model may "
        "quote what you say. By default DRY is on for runs of 16 tokens: it breaks loops, and "
        "leaves other text as it is.\n\n"
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
