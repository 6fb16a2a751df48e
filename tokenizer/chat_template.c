/* floor 3.5 - chat template: messages -> the text that a model was trained to answer. */
#include "chat_template.h"

#include "buffer.h"
#include "memory.h"
#include "tokenizer.h"

#include <string.h>

/* ---- recognising a template ---- */

/* The index of the first `part` at or after `from` in text [n bytes]; n if there is none. */
static size_t find(const char *text, size_t n, size_t from, const char *part) {
    size_t size = strlen(part);
    for (; from + size <= n; from++)
        if (memcmp(text + from, part, size) == 0) return from;
    return n;
}

static bool has(const char *text, size_t n, const char *part) { return find(text, n, 0, part) < n; }

typedef struct signature {
    pf_chat_format format;
    const char *name;
    const char *markers[3]; /* the template contains all of these ... */
    const char *absent;     /* ... and not this */
} signature;

/* The first that fits is taken. Templates that only resemble ChatML have its markers too. */
static const signature signatures[] = {
    {PF_CHAT_CHATML, "chatml", {"<|im_start|>", "<|im_end|>"}, "<|im_sep|>"},
    {PF_CHAT_LLAMA3, "llama-3", {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, NULL},
    {PF_CHAT_GEMMA, "gemma", {"<start_of_turn>", "<end_of_turn>"}, NULL},
    {PF_CHAT_LLAMA2, "llama-2", {"[INST]", "[/INST]", "<<SYS>>"}, NULL},
    {PF_CHAT_MISTRAL, "mistral", {"[INST]", "[/INST]"}, "[SYSTEM_PROMPT]"},
    {PF_CHAT_PHI3, "phi-3", {"<|assistant|>", "<|end|>"}, NULL},
    {PF_CHAT_ZEPHYR, "zephyr", {"<|user|>", "<|assistant|>", "eos_token"}, NULL},
};
#define N_SIGNATURES (sizeof signatures / sizeof *signatures)

static bool fits(const signature *s, const char *jinja, size_t n) {
    for (size_t i = 0; i < 3 && s->markers[i]; i++)
        if (!has(jinja, n, s->markers[i])) return false;
    return !s->absent || !has(jinja, n, s->absent);
}

const char *pf_chat_format_name(pf_chat_format format) {
    for (size_t i = 0; i < N_SIGNATURES; i++)
        if (signatures[i].format == format) return signatures[i].name;
    return "unknown";
}

/* Copies a Jinja string literal, text [n bytes] up to the marker `end`, with escapes resolved.
 * False if the literal ends earlier (its quote comes before the marker) or is too long. */
static bool read_literal(const char *text, size_t n, char quote, const char *end, char *out,
                         size_t room) {
    size_t stop = find(text, n, 0, end), length = 0;
    if (stop == 0 || stop == n) return false;
    for (size_t i = 0; i < stop; i++) {
        char c = text[i];
        if (c == quote || c == '{' || c == '}' || length + 1 >= room) return false;
        if (c == '\\' && i + 1 < stop) {
            c = text[++i];
            if (c == 'n')
                c = '\n';
            else if (c == 't')
                c = '\t';
        }
        out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

/* ChatML templates often hold a system prompt for conversations without one:
 * '<|im_start|>system\nYou are ...<|im_end|>\n', with a line break or its escape. */
static void find_system(const char *jinja, size_t n, char *system, size_t room) {
    static const char start[] = "<|im_start|>system";
    for (size_t at = find(jinja, n, 0, start); at < n; at = find(jinja, n, at + 1, start)) {
        size_t begin = at + sizeof start - 1;
        char quote = at ? jinja[at - 1] : '\0';
        if (quote != '\'' && quote != '"') continue;
        if (begin < n && jinja[begin] == '\n')
            begin++;
        else if (begin + 1 < n && memcmp(jinja + begin, "\\n", 2) == 0)
            begin += 2;
        else
            continue;
        if (read_literal(jinja + begin, n - begin, quote, "<|im_end|>", system, room)) return;
    }
    system[0] = '\0';
}

static void copy_piece(const pf_vocabulary *vocabulary, int32_t id, char *out, size_t room) {
    size_t n = 0;
    if (id >= 0 && (size_t)id < vocabulary->n_pieces && vocabulary->pieces[id].size < room) {
        n = vocabulary->pieces[id].size;
        if (n) memcpy(out, vocabulary->pieces[id].bytes, n);
    }
    out[n] = '\0';
}

bool pf_chat_template_find(const char *jinja, size_t n, const pf_vocabulary *vocabulary,
                           pf_chat_template *chat, pf_error *error) {
    *chat = (pf_chat_template){.format = PF_CHAT_COUNT};
    for (size_t i = 0; i < N_SIGNATURES && chat->format == PF_CHAT_COUNT; i++)
        if (fits(&signatures[i], jinja, n)) chat->format = signatures[i].format;
    if (chat->format == PF_CHAT_COUNT)
        return pf_fail(error,
                       "the model's chat template has an unknown form; the known ones are chatml, "
                       "llama-2, llama-3, mistral, gemma, phi-3 and zephyr");
    chat->writes_bos = has(jinja, n, "bos_token");
    if (chat->format == PF_CHAT_CHATML) find_system(jinja, n, chat->system, sizeof chat->system);
    copy_piece(vocabulary, vocabulary->bos, chat->bos, sizeof chat->bos);
    copy_piece(vocabulary, vocabulary->eos, chat->eos, sizeof chat->eos);
    return true;
}

unsigned pf_chat_encode_flags(const pf_chat_template *chat, const pf_vocabulary *vocabulary,
                              size_t known) {
    bool bos = known == 0 && (chat->writes_bos || vocabulary->add_bos);
    return PF_ENCODE_SPECIAL | (bos ? PF_ENCODE_FORCE_BOS : 0);
}

/* ---- writing messages ---- */

typedef struct rendering {
    pf_buffer text;
    size_t content_end; /* where the content of the last message ends */
    pf_error *error;
    bool failed;
} rendering;

/* Appends the strings up to a NULL. Does nothing after a failure. */
static void put(rendering *r, const char *const *parts) {
    for (; *parts && !r->failed; parts++)
        r->failed = !pf_buffer_put(&r->text, *parts, strlen(*parts), r->error);
}
#define PUT(r, ...) put(r, (const char *const[]){__VA_ARGS__, NULL})

static bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Appends a message's content; `strip` is the `| trim` of templates. */
static void put_content(rendering *r, const char *content, bool strip) {
    size_t n = strlen(content);
    while (strip && n && is_white(content[0])) content++, n--;
    while (strip && n && is_white(content[n - 1])) n--;
    if (!r->failed) r->failed = !pf_buffer_put(&r->text, content, n, r->error);
    r->content_end = r->text.n;
}

static bool is_role(const pf_chat_message *message, const char *role) {
    return strcmp(message->role, role) == 0;
}

/* The forms that write all roles in the same way: a header, the content, a footer. */
static void put_marked(const pf_chat_template *chat, rendering *r, const pf_chat_message *m) {
    switch (chat->format) {
    case PF_CHAT_CHATML:
        PUT(r, "<|im_start|>", m->role, "\n");
        put_content(r, m->content, false);
        PUT(r, "<|im_end|>\n");
        break;
    case PF_CHAT_LLAMA3:
        PUT(r, "<|start_header_id|>", m->role, "<|end_header_id|>\n\n");
        put_content(r, m->content, true);
        PUT(r, "<|eot_id|>");
        break;
    case PF_CHAT_PHI3:
        PUT(r, "<|", m->role, "|>\n");
        put_content(r, m->content, false);
        PUT(r, "<|end|>\n");
        break;
    default:
        PUT(r, "<|", m->role, "|>\n");
        put_content(r, m->content, false);
        PUT(r, chat->eos, "\n");
        break;
    }
}

static const char *prompt_of(pf_chat_format format) {
    switch (format) {
    case PF_CHAT_CHATML:
        return "<|im_start|>assistant\n";
    case PF_CHAT_LLAMA3:
        return "<|start_header_id|>assistant<|end_header_id|>\n\n";
    case PF_CHAT_GEMMA:
        return "<start_of_turn>model\n";
    case PF_CHAT_PHI3:
    case PF_CHAT_ZEPHYR:
        return "<|assistant|>\n";
    default:
        return ""; /* [/INST] has asked already */
    }
}

/* Gemma, Llama 2 and Mistral have no role for the system prompt: it goes into the first user
 * message. */
static void put_gemma(rendering *r, const pf_chat_message *m, const char *system) {
    PUT(r, "<start_of_turn>", is_role(m, "assistant") ? "model" : "user", "\n");
    if (system) PUT(r, system, "\n\n");
    put_content(r, m->content, true);
    PUT(r, "<end_of_turn>\n");
}

static void put_inst(const pf_chat_template *chat, rendering *r, const pf_chat_message *m,
                     const char *system, bool first) {
    bool llama2 = chat->format == PF_CHAT_LLAMA2;
    if (is_role(m, "assistant")) {
        PUT(r, " ");
        put_content(r, m->content, true);
        PUT(r, llama2 ? " " : "", chat->eos);
        return;
    }
    if (llama2 && !first) PUT(r, chat->bos);
    PUT(r, "[INST] ");
    if (system && llama2)
        PUT(r, "<<SYS>>\n", system, "\n<</SYS>>\n\n");
    else if (system)
        PUT(r, system, "\n\n");
    put_content(r, m->content, true);
    PUT(r, " [/INST]");
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

bool pf_chat_render(const pf_chat_template *chat, const pf_chat_message *messages,
                    size_t n_messages, size_t known, char **text, size_t *size, pf_error *error) {
    if (!check_messages(messages, n_messages, known, error)) return false;
    rendering r = {.error = error};
    bool marked = chat->format != PF_CHAT_GEMMA && chat->format != PF_CHAT_LLAMA2 &&
                  chat->format != PF_CHAT_MISTRAL;
    bool has_system = is_role(&messages[0], "system");
    const char *system = has_system ? messages[0].content : chat->system[0] ? chat->system : NULL;
    const pf_chat_message first = {"system", system};
    size_t begin = 0;
    if (marked && system) put_marked(chat, &r, &first);
    for (size_t i = has_system; i < n_messages; i++) {
        const pf_chat_message *m = &messages[i];
        if (marked)
            put_marked(chat, &r, m);
        else if (chat->format == PF_CHAT_GEMMA)
            put_gemma(&r, m, system);
        else
            put_inst(chat, &r, m, system, i == (size_t)has_system);
        if (!marked) system = NULL; /* it is written now */
        if (i + 1 == known) begin = r.content_end;
    }
    PUT(&r, prompt_of(chat->format));
    if (r.failed) {
        pf_free(r.text.bytes);
        return false;
    }
    if (begin) memmove(r.text.bytes, r.text.bytes + begin, r.text.n - begin);
    *text = r.text.bytes;
    *size = r.text.n - begin;
    return true;
}
