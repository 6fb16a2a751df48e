/* floor 3.10 - chat template: messages -> the text that a model was trained to answer.
 *
 *   pf_chat_template t;
 *   pf_chat_template_find(jinja, size, vocabulary, &t, error); // tokenizer.chat_template
 *   pf_chat_render(&t, messages, n, 0, &text, &text_size, error);
 *   pf_tokenizer_encode(tokenizer, text, text_size, pf_chat_encode_flags(&t, vocabulary, 0), ...);
 *   pf_chat_template_free(&t);
 *
 * Files carry their template as a program in Jinja, and it is run as transformers runs it, with
 * the variables messages, add_generation_prompt (true), bos_token, eos_token, and tools and
 * documents (none). What it may take is bounded, whatever the file says: a template that does not
 * end, or writes without end, fails.
 */
#ifndef PF_CHAT_TEMPLATE_H
#define PF_CHAT_TEMPLATE_H

#include "vocabulary.h"

typedef struct pf_chat_template {
    struct pf_jinja *jinja;
    bool writes_bos;       /* the text begins with the BOS token */
    char bos[64], eos[64]; /* as text, "" if there is none */
    int64_t now;           /* the time that templates can ask for, in seconds since 1970; 0: now */
} pf_chat_template;

typedef struct pf_chat_message {
    const char *role; /* "system" (first message only), "user" or "assistant" */
    const char *content;
} pf_chat_message;

/* Reads the template [n bytes]. False with a message that says where it is wrong. */
bool pf_chat_template_find(const char *jinja, size_t n, const pf_vocabulary *vocabulary,
                           pf_chat_template *chat, pf_error *error);
void pf_chat_template_free(pf_chat_template *chat); /* a zeroed one is allowed */

/* The source of a template that we supply, for a file that has none: chatml, llama-2, mistral,
 * llama-3, zephyr, gemma, phi-3. NULL if there is none of that name. */
const char *pf_chat_template_named(const char *name);
/* The i-th of these names, NULL behind the last. */
const char *pf_chat_template_name(size_t i);

/* Writes the messages, then what asks the model for the assistant's next message.
 *
 * A system prompt is never lost: if the template refuses or omits it, it is put before the first
 * user message, with an empty line between them. A template that leaves out the last message fails.
 *
 * To continue a conversation, pass in `known` how many messages the model has already read. The
 * last of them must be its own answer: the text then starts right after that answer, with the
 * marker that ends it. (So the model must not have read the end token that it generated.) The
 * caller frees *text [*size] with pf_free. Encode it with PF_ENCODE_SPECIAL. It does not contain
 * the BOS token that it may begin with: pf_chat_encode_flags adds it. */
bool pf_chat_render(const pf_chat_template *chat, const pf_chat_message *messages,
                    size_t n_messages, size_t known, char **text, size_t *size, pf_error *error);

/* The flags to encode that text with: special tokens, and BOS at the start of a conversation if the
 * template or the vocabulary asks for it. */
unsigned pf_chat_encode_flags(const pf_chat_template *chat, const pf_vocabulary *vocabulary,
                              size_t known);

#endif
