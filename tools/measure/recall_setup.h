/* floor 5.4 - recall setup: the text, the chat template and the distances of recall texts. */
#ifndef RECALL_SETUP_H
#define RECALL_SETUP_H

#include "input.h"
#include "load.h"
#include "options.h"
#include "recall_texts.h"

/* What a recall_source points into. Zero it first. */
typedef struct recall_setup {
    recall_source source;
    bool from_template; /* questions are asked as the model's chat template says */
    bool made;          /* the text is recall_story's: none was given */
    pf_tokens text;
    char *before, *after;
    /* in ascending order, as --recall says or by default */
    size_t distances[OPTIONS_MAX_LIST], n_distances;
    size_t most_tokens; /* --context, else the trained context, else what the distances need */
} recall_setup;

/* Takes the running text from `texts`, or makes one if it is NULL. Leaves out distances that the
 * text or learned positions do not allow, with a note; fails if none is left. */
bool recall_setup_make(const options *parsed, const pf_loaded *loaded, const input_texts *texts,
                       recall_setup *setup, pf_error *error);
void recall_setup_free(recall_setup *setup);

/* Sets what the model's chat template writes around a question. False if there is no template, and
 * questions then complete a sentence. */
bool recall_setup_read_template(const pf_loaded *loaded, recall_setup *setup);

#endif
