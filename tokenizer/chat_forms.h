/* floor 3.0 - chat forms: chat templates by name, for files that have none or a bad one. */
#ifndef PF_CHAT_FORMS_H
#define PF_CHAT_FORMS_H

#include <stddef.h>

typedef struct pf_chat_form {
    const char *name;  /* "chatml" */
    const char *jinja; /* a template */
} pf_chat_form;

extern const pf_chat_form pf_chat_forms[];
extern const size_t pf_n_chat_forms;

#endif
