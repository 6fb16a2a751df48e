/* floor 5.4 - training texts: the files of `train` as tokens, and what is held out. */
#ifndef TRAINING_TEXTS_H
#define TRAINING_TEXTS_H

#include "input.h"
#include "load.h"
#include "options.h"

typedef struct training_texts {
    pf_slice files[OPTIONS_MAX_REPEATS]; /* their bytes, owned */
    size_t n_files;
    pf_tokens train;         /* the pieces that are learned, one after the other */
    input_texts held;        /* texts of 2 to context + 1 ids to measure the loss on */
    size_t n_pieces, n_held; /* pieces in all, and held out */
} training_texts;

/* Reads the bytes of every --file. */
bool training_texts_read(const options *parsed, training_texts *texts, pf_error *error);

/* Cuts them into pieces at --split, encodes each with BOS (or, where the vocabulary adds none, with
 * EOS after it), and holds out every --hold-out'th piece, or with fewer pieces than that the last
 * part of each file. --validation replaces what is
 * held out, and with it nothing is unless --hold-out is given. What is held out is cut into blocks
 * of context + 1 ids, of which each begins with the last of the one before. */
bool training_texts_encode(const options *parsed, const pf_loaded *loaded, size_t context,
                           training_texts *texts, pf_error *error);

void training_texts_free(training_texts *texts);

#endif
