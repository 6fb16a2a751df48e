/* floor 3.0 - chat forms: the forms that most models share, as templates of our own. */
#include "chat_forms.h"

/* Roles that are all written alike: a head, the content, a foot. */
#define MARKED(start, head, content, foot, prompt)                                                 \
    start "{% for m in messages %}{{ " head " + " content " + " foot " }}{% endfor %}"             \
          "{% if add_generation_prompt %}{{ " prompt " }}{% endif %}"

/* No role for the system prompt: it goes into the first user message. */
#define IN_FIRST(before)                                                                           \
    "{% set ns = namespace(first='') %}"                                                           \
    "{% if messages and messages[0].role == 'system' %}"                                           \
    "{% set ns.first = " before " %}{% set messages = messages[1:] %}{% endif %}"

#define INST(start, between, before, end)                                                          \
    start IN_FIRST(before) "{% for m in messages %}{% if m.role == 'assistant' %}"                 \
                           "{{ ' ' + m.content|trim + " end " }}{% else %}"                        \
                           "{{ (" between " if not loop.first else '') + '[INST] ' + ns.first"     \
                           " + m.content|trim + ' [/INST]' }}{% set ns.first = '' %}"              \
                           "{% endif %}{% endfor %}"

const pf_chat_form pf_chat_forms[] = {
    {"chatml", MARKED("", "'<|im_start|>' + m.role + '\\n'", "m.content", "'<|im_end|>\\n'",
                      "'<|im_start|>assistant\\n'")},
    {"llama-2",
     INST("{{ bos_token }}", "bos_token",
          "'<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n'", "' ' + eos_token")},
    {"mistral", INST("{{ bos_token }}", "''", "messages[0].content + '\\n\\n'", "eos_token")},
    {"llama-3",
     MARKED("{{ bos_token }}", "'<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n'",
            "m.content|trim", "'<|eot_id|>'",
            "'<|start_header_id|>assistant<|end_header_id|>\\n\\n'")},
    {"zephyr",
     MARKED("", "'<|' + m.role + '|>\\n'", "m.content", "eos_token + '\\n'", "'<|assistant|>\\n'")},
    {"gemma", "{{ bos_token }}" IN_FIRST(
                  "messages[0].content + '\\n\\n'") "{% for m in messages %}"
                                                    "{{ '<start_of_turn>' + ('model' if m.role == "
                                                    "'assistant' else m.role) + '\\n' + ns.first"
                                                    " + m.content|trim + '<end_of_turn>\\n' }}{% "
                                                    "set ns.first = '' %}{% endfor %}"
                                                    "{% if add_generation_prompt %}{{ "
                                                    "'<start_of_turn>model\\n' }}{% endif %}"},
    {"phi-3", MARKED("{{ bos_token }}", "'<|' + m.role + '|>\\n'", "m.content", "'<|end|>\\n'",
                     "'<|assistant|>\\n'")},
};
const size_t pf_n_chat_forms = sizeof pf_chat_forms / sizeof *pf_chat_forms;
