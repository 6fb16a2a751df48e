/* floor 5.4 - given texts: the texts of -p, --file and --tokens as token ids. */
#define _POSIX_C_SOURCE 200809L
#include "given_texts.h"

#include "memory.h"
#include "session_flags.h"
#include "terminal.h"
#include "warn_model.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The option of each command that names a file with a text, and those that also give one. */
static const struct {
    int commands;
    flag_id file, others[3];
} text_flags[] = {
    {FOR_GENERATE, FLAG_PROMPT_FILE, {FLAG_PROMPT, FLAG_END}},
    {FOR_EVAL | FOR_EXPLAIN, FLAG_TEXT_FILE, {FLAG_TEXT_ARGUMENT, FLAG_TOKENS_FILE, FLAG_END}},
    {FOR_COMPARE, FLAG_TEXT_FILE, {FLAG_TEXT_ARGUMENT, FLAG_TOKENS_FILE, FLAG_SCALING}},
    {FOR_CALIBRATE, FLAG_CALIBRATION_FILE, {FLAG_CALIBRATION_TOKENS, FLAG_END}},
    {FOR_TRAIN, FLAG_TRAIN_FILE, {FLAG_END}},
};
enum { TEXT_FLAGS = sizeof text_flags / sizeof text_flags[0] };

/* A terminal, /dev/null and a closed standard input hold no text; nor does an empty file or pipe.
 * What is looked at stays to be read. */
static bool standard_input_has_text(const options *parsed) {
    struct stat about;
    struct pollfd waiting = {.fd = STDIN_FILENO, .events = POLLIN};
    if (fstat(STDIN_FILENO, &about) != 0) return false;
    if (!S_ISFIFO(about.st_mode) && !S_ISREG(about.st_mode)) return false;
    if (poll(&waiting, 1, 2000) == 0)
        note(parsed, "performer: waiting for a text on standard input (give one with -p or --file, "
                     "or add </dev/null for none)");
    int first = getc(stdin);
    if (first == EOF) return ferror(stdin) != 0; /* reading it will fail, with a message */
    return ungetc(first, stdin) == first;
}

void take_standard_input(options *parsed) {
    for (int i = 0; i < TEXT_FLAGS; i++) {
        if (!(text_flags[i].commands & parsed->command)) continue;
        flag_id file = text_flags[i].file;
        bool given = parsed->given[file];
        for (int j = 0; j < 3 && text_flags[i].others[j] != FLAG_END; j++)
            given = given || parsed->given[text_flags[i].others[j]];
        if (given || !standard_input_has_text(parsed)) return;
        options_give_text(parsed, file, "-");
    }
}

int text_sources(const options *parsed) {
    return parsed->given[FLAG_TEXT_ARGUMENT] + parsed->given[FLAG_TEXT_FILE] +
           parsed->given[FLAG_TOKENS_FILE];
}

bool one_text_is_named(const options *parsed, const char *command) {
    int sources = text_sources(parsed);
    const char *mark = parsed->given[FLAG_SPLIT] ? parsed->values[FLAG_SPLIT].text : "-";
    if (!*mark || (parsed->given[FLAG_SPLIT] && parsed->given[FLAG_TOKENS_FILE])) {
        complain_usage(command, *mark ? "--split needs the text of -p or --file, not --tokens"
                                      : "--split is empty; say where the text is to be split");
        return false;
    }
    if (sources == 1) return true;
    complain_usage(command, "%s; give one with -p TEXT, --file FILE, --tokens FILE or a pipe",
                   sources ? "more than one text is given" : "no text is given");
    return false;
}

bool add_encoded_text(const pf_loaded *loaded, const char *path, const char *text, size_t n,
                      input_texts *texts, pf_error *error) {
    if (!loaded->tokenizer)
        return pf_fail(error, "%s has no tokenizer; give ids with --tokens", path);
    pf_tokens *ids = input_texts_add(texts, error);
    return ids && pf_tokenizer_encode(loaded->tokenizer, text, n, PF_ENCODE_BOS | PF_ENCODE_SPECIAL,
                                      ids, error);
}

static bool is_blank(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i]) return false;
    return true;
}

/* Encodes each piece between two `marks`; without any, the whole text. */
static bool add_split_text(const pf_loaded *loaded, const char *path, const char *text, size_t n,
                           const char *mark, input_texts *texts, pf_error *error) {
    size_t length = strlen(mark);
    for (size_t begin = 0, at = 0; at <= n; at++) {
        bool last = at == n, found = !last && n - at >= length && !memcmp(text + at, mark, length);
        if (!last && !found) continue;
        if (!is_blank(text + begin, at - begin) &&
            !add_encoded_text(loaded, path, text + begin, at - begin, texts, error))
            return false;
        if (found) {
            begin = at + length;
            at = begin - 1;
        }
    }
    return true;
}

/* The folder of the running program, ending in a slash; "" if the system does not say. */
static void program_folder(char *folder, size_t size) {
    ssize_t n = readlink("/proc/self/exe", folder, size - 1);
    folder[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) slash[1] = '\0';
}

bool read_shipped_text(const pf_loaded *loaded, const char *path, input_texts *texts,
                       pf_error *error) {
    static const char *const places[] = {"models/weights/", "../share/performer/",
                                         "../models/weights/", "../../models/weights/"};
    char folder[2048], name[2200], *text = NULL;
    size_t n = 0;
    program_folder(folder, sizeof folder);
    for (size_t i = 0; !text && i < sizeof places / sizeof places[0]; i++) {
        snprintf(name, sizeof name, "%s%ssample.txt", folder, places[i]);
        if (access(name, R_OK) == 0 && !input_read(name, &text, &n, error)) return false;
    }
    if (!text && access("models/weights/sample.txt", R_OK) == 0 &&
        !input_read("models/weights/sample.txt", &text, &n, error))
        return false;
    if (!text)
        return pf_fail(error, "cannot find the shipped sample.txt near the program; give a text "
                              "with -p TEXT, --file FILE or --tokens FILE");
    bool good = add_encoded_text(loaded, path, text, n, texts, error);
    pf_free(text);
    return good;
}

/* Sessions check the ids they read, but ids are also prediction targets. */
static bool check_ids(const pf_loaded *loaded, const input_texts *texts, pf_error *error) {
    uint32_t n_vocab = loaded->model->n_vocab;
    for (size_t i = 0; i < texts->count; i++)
        for (size_t j = 0; j < texts->texts[i].count; j++)
            if ((uint32_t)texts->texts[i].ids[j] >= n_vocab)
                return pf_fail(error,
                               "token %zu of text %zu has id %d, but the model's last id is %u",
                               j + 1, i + 1, (int)texts->texts[i].ids[j], n_vocab - 1);
    return true;
}

bool read_given_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                      pf_error *error) {
    if (parsed->given[FLAG_TOKENS_FILE])
        return input_read_ids(parsed->values[FLAG_TOKENS_FILE].text, texts, error) &&
               check_ids(loaded, texts, error);
    char *read = NULL;
    const char *text = parsed->values[FLAG_TEXT_ARGUMENT].text;
    size_t n = text ? strlen(text) : 0;
    if (parsed->given[FLAG_TEXT_FILE]) {
        if (!input_read(parsed->values[FLAG_TEXT_FILE].text, &read, &n, error)) return false;
        text = read;
    }
    bool good = parsed->given[FLAG_SPLIT]
                    ? add_split_text(loaded, parsed->model, text, n,
                                     parsed->values[FLAG_SPLIT].text, texts, error)
                    : add_encoded_text(loaded, parsed->model, text, n, texts, error);
    pf_free(read);
    for (size_t i = 0; good && i < texts->count; i++)
        if (warn_of_two_bos(parsed, loaded, &texts->texts[i])) break; /* once */
    size_t lost = 0;
    for (size_t i = 0; i < texts->count; i++) lost += texts->texts[i].lost;
    warn_of_lost_bytes(parsed, lost);
    return good;
}
