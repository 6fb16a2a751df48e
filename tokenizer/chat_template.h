/* floor 3.5 - chat template: messages -> the text that a model was trained to answer.
 *
 *   pf_chat_template t;
 *   pf_chat_template_find(jinja, size, vocabulary, &t, error); // tokenizer.chat_template
 *   pf_chat_render(&t, messages, n, 0, &text, &text_size, error);
 *   pf_tokenizer_encode(tokenizer, text, text_size, pf_chat_encode_flags(&t, vocabulary, 0), ...);
 *
 * Files carry their template as a Jinja program. We do not run it: from the markers in its text we
 * recognise which of a few well-known forms it writes, and write that form ourselves. We leave out
 * a template's extras, such as tools and dates, but keep its default system prompt.
 */
#ifndef PF_CHAT_TEMPLATE_H
#define PF_CHAT_TEMPLATE_H

#include "vocabulary.h"

typedef enum pf_chat_format {
    PF_CHAT_CHATML,  /* <|im_start|>role ... <|im_end|>: Qwen, SmolLM2, many others */
    PF_CHAT_LLAMA2,  /* [INST] <<SYS>> ... [/INST] */
    PF_CHAT_MISTRAL, /* [INST] ... [/INST]; the system prompt goes into the first user message */
    PF_CHAT_LLAMA3,  /* <|start_header_id|>role<|end_header_id|> ... <|eot_id|> */
    PF_CHAT_ZEPHYR,  /* <|role|> ... EOS: Zephyr, TinyLlama */
    PF_CHAT_GEMMA,   /* <start_of_turn>role ... <end_of_turn> */
    PF_CHAT_PHI3,    /* <|role|> ... <|end|> */
    PF_CHAT_COUNT
} pf_chat_format;

typedef struct pf_chat_template {
    pf_chat_format format;
    bool writes_bos;       /* the template begins with the BOS token */
    char system[1024];     /* the default system prompt, "" if there is none */
    char bos[64], eos[64]; /* as text */
} pf_chat_template;

typedef struct pf_chat_message {
    const char *role; /* "system" (first message only), "user" or "assistant" */
    const char *content;
} pf_chat_message;

const char *pf_chat_format_name(pf_chat_format format); /* "chatml", "llama-2", ... */

/* Recognises the template [n bytes]. False if it has none of the forms above. */
bool pf_chat_template_find(const char *jinja, size_t n, const pf_vocabulary *vocabulary,
                           pf_chat_template *chat, pf_error *error);

/* Writes the messages, then the header that asks the model for the assistant's next message.
 *
 * To continue a conversation, pass in `known` how many messages the model has already read. The
 * last of them must be its own answer: the text then starts right after that answer, with the
 * marker that ends it. (So the model must not have read the end token that it generated.) The
 * caller frees *text [*size] with pf_free. Encode it with PF_ENCODE_SPECIAL. */
bool pf_chat_render(const pf_chat_template *chat, const pf_chat_message *messages,
                    size_t n_messages, size_t known, char **text, size_t *size, pf_error *error);

/* The flags to encode that text with: special tokens, and BOS at the start of a conversation if the
 * template or the vocabulary asks for it. */
unsigned pf_chat_encode_flags(const pf_chat_template *chat, const pf_vocabulary *vocabulary,
                              size_t known);

#endif
