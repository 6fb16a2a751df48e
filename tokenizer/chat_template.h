/* floor 3.5 - chat template: messages -> the text that a model was trained to answer.
 *
 *   pf_chat_template t;
 *   pf_chat_template_find(jinja, size, vocabulary, &t, error);     // tokenizer.chat_template of the file
 *   pf_chat_render(&t, messages, n, 0, &text, &text_size, error);
 *   pf_tokenizer_encode(tokenizer, text, text_size, pf_chat_encode_flags(&t, vocabulary, 0), ...);
 *
 * Files carry their template as a Jinja program. We do not run it: we recognise which of a few well-known
 * forms it writes, by the markers in its text, and write that form ourselves. Tools, dates and other
 * extras of a template are left out; a system prompt that it writes of its own accord is kept.
 */
#ifndef PF_CHAT_TEMPLATE_H
#define PF_CHAT_TEMPLATE_H

#include "vocabulary.h"

typedef enum pf_chat_format {
    PF_CHAT_CHATML,  /* <|im_start|>role ... <|im_end|>: Qwen, SmolLM2, many others */
    PF_CHAT_LLAMA2,  /* [INST] <<SYS>> ... [/INST] */
    PF_CHAT_MISTRAL, /* [INST] ... [/INST], no place for a system prompt of its own */
    PF_CHAT_LLAMA3,  /* <|start_header_id|>role<|end_header_id|> ... <|eot_id|> */
    PF_CHAT_ZEPHYR,  /* <|role|> ... end-of-text token: Zephyr, TinyLlama */
    PF_CHAT_GEMMA,   /* <start_of_turn>role ... <end_of_turn> */
    PF_CHAT_PHI3,    /* <|role|> ... <|end|> */
    PF_CHAT_COUNT
} pf_chat_format;

typedef struct pf_chat_template {
    pf_chat_format format;
    bool writes_bos;       /* the template begins with the BOS token */
    char system[1024];     /* used where the first message is no system prompt; "": none */
    char bos[64], eos[64]; /* as they are written out in a text */
} pf_chat_template;

typedef struct pf_chat_message {
    const char *role; /* "system" (only as the first), "user" or "assistant" */
    const char *content;
} pf_chat_message;

const char *pf_chat_format_name(pf_chat_format format); /* "chatml", "llama-2", ... */

/* Recognises the template [n bytes]. False if it is none of the above. */
bool pf_chat_template_find(const char *jinja, size_t n, const pf_vocabulary *vocabulary,
                           pf_chat_template *chat, pf_error *error);

/* The text of the messages, and behind it what asks the model for the assistant's next message.
 *
 * To go on with a conversation, `known` is the number of messages that the model has read already, the
 * last of them an answer of its own: the text then begins right behind that answer, with what ends it
 * (so the model must not have read the end token that it wrote itself). *text [*size] is the caller's to
 * free. Encode it with PF_ENCODE_SPECIAL. */
bool pf_chat_render(const pf_chat_template *chat, const pf_chat_message *messages,
                    size_t n_messages, size_t known, char **text, size_t *size, pf_error *error);

/* The flags to encode it with: special tokens, and BOS at the beginning of a conversation if the template
 * or the vocabulary asks for it. */
unsigned pf_chat_encode_flags(const pf_chat_template *chat, const pf_vocabulary *vocabulary,
                              size_t known);

#endif
