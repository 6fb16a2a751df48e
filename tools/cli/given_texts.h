/* floor 5.4 - given texts: the texts of -p, --file and --tokens as token ids. */
#ifndef GIVEN_TEXTS_H
#define GIVEN_TEXTS_H

#include "input.h"
#include "load.h"
#include "options.h"

/* How many of -p, --file and --tokens are given. */
int text_sources(const options *parsed);

/* True if exactly one of the three is given; otherwise prints a usage error. */
bool one_text_is_named(const options *parsed, const char *command);

/* Reads the texts: -p and --file are encoded with BOS and special tokens, split where --split says;
 * --tokens are used as they are. */
bool read_given_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                      pf_error *error);

/* Reads the sample.txt that is shipped with the models: from models/weights or share/performer near
 * the program, or from models/weights in the working directory. */
bool read_shipped_text(const pf_loaded *loaded, const char *path, input_texts *texts,
                       pf_error *error);

/* Encodes text [n bytes] and appends it to *texts. `path` names the model in messages. */
bool add_encoded_text(const pf_loaded *loaded, const char *path, const char *text, size_t n,
                      input_texts *texts, pf_error *error);

#endif
