/* floor 5.3 - choose template: the chat template that the command line or the model names. */
#ifndef CHOOSE_TEMPLATE_H
#define CHOOSE_TEMPLATE_H

#include "chat_template.h"
#include "load.h"
#include "options.h"

/* The template of --template, or else the model's own. *found is false, and *chat is zeroed, if
 * there is none or --raw is given. False with a message that says what to do if it cannot be read.
 * Free *chat with pf_chat_template_free. */
bool choose_template(const options *parsed, const pf_loaded *loaded, pf_chat_template *chat,
                     bool *found, pf_error *error);

#endif
