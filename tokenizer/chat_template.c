/* floor 3.10 - chat template: what a template is given, and what of its text is new. */
#include "chat_template.h"

#include "chat_forms.h"
#include "jinja.h"
#include "memory.h"
#include "tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Far more than any template needs. Messages may take their own size a few times over. */
static const pf_jinja_limits limits = {
    .memory = (size_t)32 << 20, .output = (size_t)16 << 20, .steps = 20000000};
enum { TIMES_OVER = 16 };

/* ---- finding a template ---- */

const char *pf_chat_template_named(const char *name) {
    for (size_t i = 0; i < pf_n_chat_forms; i++)
        if (strcmp(pf_chat_forms[i].name, name) == 0) return pf_chat_forms[i].jinja;
    return NULL;
}

const char *pf_chat_template_name(size_t i) {
    return i < pf_n_chat_forms ? pf_chat_forms[i].name : NULL;
}

static void copy_piece(const pf_vocabulary *vocabulary, int32_t id, char *out, size_t room) {
    size_t n = 0;
    if (id >= 0 && (size_t)id < vocabulary->n_pieces && vocabulary->pieces[id].size < room) {
        n = vocabulary->pieces[id].size;
        if (n) memcpy(out, vocabulary->pieces[id].bytes, n);
    }
    out[n] = '\0';
}

/* ---- running it ---- */

typedef struct request {
    const pf_chat_message *messages;
    size_t n;
    size_t answer; /* the message that `mark` stands for; n: none */
    const char *mark;
    const char *prefix; /* goes before the first message, with an empty line; may be NULL */
} request;

static pf_jinja_variable text_variable(const char *name, const char *text) {
    return (pf_jinja_variable){
        .name = name, .kind = PF_JINJA_TEXT, .text = text, .size = strlen(text)};
}

static bool run(const pf_chat_template *chat, const pf_jinja_variable *messages, size_t n,
                pf_buffer *out, pf_error *error) {
    pf_error reason = {""};
    bool refused = false;
    pf_jinja_limits bounds = limits;
    bounds.now = chat->now ? chat->now : (int64_t)time(NULL);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < messages[i].n_parts; k++) {
            bounds.memory += TIMES_OVER * messages[i].parts[k].size;
            bounds.output += TIMES_OVER * messages[i].parts[k].size;
            bounds.steps += TIMES_OVER * messages[i].parts[k].size;
        }
    const pf_jinja_variable variables[] = {
        {.name = "messages", .kind = PF_JINJA_LIST, .parts = messages, .n_parts = n},
        {.name = "add_generation_prompt", .kind = PF_JINJA_TRUE},
        {.name = "tools", .kind = PF_JINJA_NONE},
        {.name = "documents", .kind = PF_JINJA_NONE},
        text_variable("bos_token", chat->bos),
        text_variable("eos_token", chat->eos),
    };
    return pf_jinja_render(chat->jinja, variables, sizeof variables / sizeof *variables, &bounds,
                           out, &refused, &reason) ||
           pf_fail(error, "the chat template %s, %s",
                   refused ? "refuses this conversation" : "fails", reason.message);
}

/* Appends the text of the messages to *out. */
static bool render(const pf_chat_template *chat, const request *r, pf_buffer *out,
                   pf_error *error) {
    enum { ROLE, CONTENT, FIELDS };
    pf_jinja_variable *list =
        pf_calloc(r->n * (1 + FIELDS), sizeof *list, "the messages of a chat", error);
    pf_buffer first = {0};
    bool good = list != NULL;
    if (good && r->prefix)
        good = pf_buffer_put(&first, r->prefix, strlen(r->prefix), error) &&
               pf_buffer_put(&first, "\n\n", 2, error) &&
               pf_buffer_put(&first, r->messages[0].content, strlen(r->messages[0].content) + 1,
                             error);
    for (size_t i = 0; good && i < r->n; i++) {
        pf_jinja_variable *fields = list + r->n + i * FIELDS;
        const char *content = i == r->answer          ? r->mark
                              : i == 0 && first.bytes ? first.bytes
                                                      : r->messages[i].content;
        fields[ROLE] = text_variable("role", r->messages[i].role);
        fields[CONTENT] = text_variable("content", content);
        list[i] = (pf_jinja_variable){.kind = PF_JINJA_DICT, .parts = fields, .n_parts = FIELDS};
    }
    good = good && run(chat, list, r->n, out, error);
    pf_free(first.bytes);
    pf_free(list);
    return good;
}

/* Where part [size] last begins in text [n]; SIZE_MAX if nowhere. */
static size_t find_last(const char *text, size_t n, const char *part, size_t size) {
    if (size > n) return SIZE_MAX;
    for (size_t at = n - size + 1; at-- > 0;)
        if (memcmp(text + at, part, size) == 0) return at;
    return SIZE_MAX;
}

/* Whether the text has the system prompt, but for the white space around it. */
static bool has_prompt(const pf_buffer *text, const char *prompt) {
    static const char white[] = " \t\n\v\f\r";
    prompt += strspn(prompt, white);
    size_t n = strlen(prompt);
    while (n && strchr(white, prompt[n - 1])) n--;
    return n == 0 || (text->bytes && find_last(text->bytes, text->n, prompt, n) != SIZE_MAX);
}

/* Renders the messages. Where the template refuses or omits the system prompt, it goes before the
 * message behind it. */
static bool render_all(const pf_chat_template *chat, const request *r, pf_buffer *out,
                       pf_error *error) {
    bool system = strcmp(r->messages[0].role, "system") == 0;
    bool good = render(chat, r, out, error);
    if (!system || r->n < 2 || (good && has_prompt(out, r->messages[0].content))) return good;
    pf_error again = {""};
    pf_buffer text = {0};
    request rest = *r;
    rest.prefix = r->messages[0].content;
    rest.messages++;
    rest.n--;
    rest.answer--;
    if (!render(chat, &rest, &text, &again)) {
        pf_free(text.bytes);
        return good; /* with the first error, if there is one */
    }
    pf_free(out->bytes);
    *out = text;
    return true;
}

bool pf_chat_template_find(const char *jinja, size_t n, const pf_vocabulary *vocabulary,
                           pf_chat_template *chat, pf_error *error) {
    pf_error reason = {""};
    pf_buffer text = {0};
    const pf_chat_message hello = {"user", "."};
    *chat = (pf_chat_template){.jinja = pf_jinja_parse(jinja, n, &reason)};
    if (!chat->jinja) return pf_fail(error, "the chat template cannot be read: %s", reason.message);
    copy_piece(vocabulary, vocabulary->bos, chat->bos, sizeof chat->bos);
    copy_piece(vocabulary, vocabulary->eos, chat->eos, sizeof chat->eos);
    size_t bos = strlen(chat->bos);
    chat->writes_bos =
        render(chat, &(request){.messages = &hello, .n = 1, .answer = 1}, &text, &reason) && bos &&
        text.n >= bos && memcmp(text.bytes, chat->bos, bos) == 0;
    pf_free(text.bytes);
    return true;
}

void pf_chat_template_free(pf_chat_template *chat) {
    pf_jinja_free(chat->jinja);
    *chat = (pf_chat_template){0};
}

unsigned pf_chat_encode_flags(const pf_chat_template *chat, const pf_vocabulary *vocabulary,
                              size_t known) {
    bool bos = known == 0 && (chat->writes_bos || vocabulary->add_bos);
    return PF_ENCODE_SPECIAL | (bos ? PF_ENCODE_FORCE_BOS : 0);
}

/* ---- a conversation ---- */

static bool is_role(const pf_chat_message *message, const char *role) {
    return strcmp(message->role, role) == 0;
}

static bool check_messages(const pf_chat_message *messages, size_t n, size_t known,
                           pf_error *error) {
    for (size_t i = 0; i < n; i++) {
        const pf_chat_message *m = &messages[i];
        if (is_role(m, "system") ? i > 0 : !is_role(m, "user") && !is_role(m, "assistant"))
            return pf_fail(error,
                           "message %zu of the chat has the role \"%s\"; roles are user and "
                           "assistant, and system for the first message",
                           i + 1, m->role);
    }
    if (n == 0 || known > n || (known && !is_role(&messages[known - 1], "assistant")))
        return pf_fail(error, "the chat cannot be continued after message %zu of %zu", known, n);
    return true;
}

/* A text that no message contains. It stands for the answer that the model has read, so that the
 * place behind it can be found whatever the template does to an answer. */
static void choose_mark(const pf_chat_message *messages, size_t n, char *mark, size_t room) {
    bool taken = true;
    for (unsigned k = 0; taken; k++) {
        snprintf(mark, room, "answer%uread", k);
        taken = false;
        for (size_t i = 0; i < n && !taken; i++)
            taken = strstr(messages[i].content, mark) || strstr(messages[i].role, mark);
    }
}

/* Drops what the model has read: BOS, which it will get by the flags; or all up to the mark. */
static bool cut(const pf_chat_template *chat, size_t known, const char *mark, pf_buffer *text,
                pf_error *error) {
    size_t bos = strlen(chat->bos), begin = 0;
    if (known) {
        begin = find_last(text->bytes, text->n, mark, strlen(mark));
        if (begin == SIZE_MAX)
            return pf_fail(error, "the chat template leaves out the model's own answers, so the "
                                  "dialogue cannot go on");
        begin += strlen(mark);
    } else if (chat->writes_bos && text->n >= bos && memcmp(text->bytes, chat->bos, bos) == 0) {
        begin = bos;
    }
    text->n -= begin;
    if (begin) memmove(text->bytes, text->bytes + begin, text->n);
    return true;
}

/* The last message is what a person has just said. A template may change it, but one that writes
 * the same whatever it says has lost it. */
static bool has_last(const pf_chat_template *chat, const request *r, const pf_buffer *out,
                     pf_error *error) {
    const pf_chat_message *last = &r->messages[r->n - 1];
    pf_error ignored = {""};
    pf_buffer other = {0};
    if (has_prompt(out, last->content)) return true;
    pf_chat_message *messages = pf_calloc(r->n, sizeof *messages, "a chat", error);
    if (!messages) return false;
    memcpy(messages, r->messages, r->n * sizeof *messages);
    messages[r->n - 1].content = r->mark; /* a text that no message contains */
    request changed = *r;
    changed.messages = messages;
    bool same = render_all(chat, &changed, &other, &ignored) && other.n == out->n &&
                (out->n == 0 || memcmp(other.bytes, out->bytes, out->n) == 0);
    pf_free(other.bytes);
    pf_free(messages);
    return !same ||
           pf_fail(error, "the chat template leaves out the last message, so the model would not "
                          "see it; choose another with --template NAME|FILE");
}

bool pf_chat_render(const pf_chat_template *chat, const pf_chat_message *messages,
                    size_t n_messages, size_t known, char **text, size_t *size, pf_error *error) {
    if (!check_messages(messages, n_messages, known, error)) return false;
    char mark[32];
    choose_mark(messages, n_messages, mark, sizeof mark);
    pf_buffer out = {0};
    const request all = {.messages = messages,
                         .n = n_messages,
                         .answer = known ? known - 1 : n_messages,
                         .mark = mark};
    bool good = render_all(chat, &all, &out, error) && has_last(chat, &all, &out, error);
    good = good && cut(chat, known, mark, &out, error);
    if (!good) {
        pf_free(out.bytes);
        return false;
    }
    *text = out.bytes;
    *size = out.n;
    return true;
}
