/* floor 5.3 - choose template: by name, from a file, or the model's own. */
#include "choose_template.h"

#include "checkpoint.h"
#include "file.h"

#include <string.h>

static bool read_template(const pf_loaded *loaded, const char *jinja, size_t n,
                          pf_chat_template *chat, pf_error *error) {
    return pf_chat_template_find(jinja, n, pf_tokenizer_vocabulary(loaded->tokenizer), chat, error);
}

/* " chatml, llama-2 ..." */
static void list_names(char *text, size_t room) {
    size_t n = 0;
    const char *name;
    for (size_t i = 0; (name = pf_chat_template_name(i)) && n + strlen(name) + 3 < room; i++) {
        if (i) n += strlen(strcpy(text + n, ", "));
        n += strlen(strcpy(text + n, name));
    }
}

static bool take_file(const pf_loaded *loaded, const char *path, pf_chat_template *chat,
                      pf_error *error) {
    char names[200] = "";
    pf_file file;
    pf_error reason = {""};
    list_names(names, sizeof names);
    if (!pf_file_open(path, &file, &reason))
        return pf_fail(error, "--template names neither a template (%s) nor a file to read: %s",
                       names, reason.message);
    bool good = read_template(loaded, file.bytes.size ? (const char *)file.bytes.data : "",
                              file.bytes.size, chat, &reason) ||
                pf_fail(error, "%s: %s", path, reason.message);
    pf_file_close(&file);
    return good;
}

bool choose_template(const options *parsed, const pf_loaded *loaded, pf_chat_template *chat,
                     bool *found, pf_error *error) {
    pf_text jinja = {0};
    pf_error reason = {""};
    *chat = (pf_chat_template){0};
    *found = false;
    if (parsed->given[FLAG_RAW] && parsed->given[FLAG_TEMPLATE])
        return pf_fail(error, "--raw uses no template, --template one; give only one of them");
    if (parsed->given[FLAG_RAW]) return true;
    if (parsed->given[FLAG_TEMPLATE]) {
        const char *name = parsed->values[FLAG_TEMPLATE].text;
        const char *named = pf_chat_template_named(name);
        *found = named ? read_template(loaded, named, strlen(named), chat, error)
                       : take_file(loaded, name, chat, error);
        return *found;
    }
    if (!pf_checkpoint_get_text(loaded->checkpoint, "tokenizer.chat_template", &jinja, &reason) ||
        jinja.size == 0)
        return true;
    *found = read_template(loaded, jinja.bytes, jinja.size, chat, &reason);
    return *found || pf_fail(error,
                             "%s: %s; choose another with --template NAME|FILE, or go without one "
                             "with --raw",
                             parsed->model, reason.message);
}
