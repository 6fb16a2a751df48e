/* floor 5.4 - calibration texts: pieces of --file and --tokens, or texts written by the model. */
#ifndef CALIBRATION_TEXTS_H
#define CALIBRATION_TEXTS_H

#include "input.h"
#include "load.h"
#include "options.h"

/* Cuts the given texts into pieces of at most --length tokens and takes at most --texts of them,
 * one from each file in turn. Pieces of a --file begin with BOS if the vocabulary asks for it. A
 * shorter piece at the end of a text counts if it has at least a quarter of the length. */
bool read_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                            pf_error *error);

/* Texts that the model itself writes, sampled from its own distribution: --texts of them, or enough
 * for 24,576 tokens. */
bool write_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                             pf_error *error);

#endif
