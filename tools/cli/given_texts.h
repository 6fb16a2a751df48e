/* floor 5.4 - given texts: what -p, --file and --tokens name, as ids. */
#ifndef GIVEN_TEXTS_H
#define GIVEN_TEXTS_H

#include "input.h"
#include "load.h"
#include "options.h"

/* How many of -p, --file and --tokens are given. */
int text_sources(const options *parsed);

/* True if exactly one of the three is given; else complains of a wrong usage. */
bool one_text_is_named(const options *parsed, const char *command);

/* The texts: -p and --file encoded with BOS and special tokens, --tokens as they are. */
bool read_given_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                      pf_error *error);

/* The sample.txt that is shipped beside the models: in models/weights, or share/performer, near the
 * program; or below the working directory. */
bool read_shipped_text(const pf_loaded *loaded, const char *path, input_texts *texts,
                       pf_error *error);

/* One text [n bytes], encoded, at the end of *texts. */
bool add_encoded_text(const pf_loaded *loaded, const char *path, const char *text, size_t n,
                      input_texts *texts, pf_error *error);

#endif
