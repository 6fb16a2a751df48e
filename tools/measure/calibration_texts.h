/* floor 5.4 - calibration texts: what --file and --tokens name, in pieces; or what the model writes. */
#ifndef CALIBRATION_TEXTS_H
#define CALIBRATION_TEXTS_H

#include "input.h"
#include "load.h"
#include "options.h"

/* Pieces of at most --length tokens, at most --texts of them; a BOS in front of each piece of a --file
 * where the vocabulary wants one. Of every file the first pieces are taken, from one file after the
 * other; what is left of a text is a piece if it is at least a quarter of one. */
bool read_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                            pf_error *error);

/* Texts that the model itself writes, drawn from its own distribution: 8 pieces, fewer if --texts says
 * so. */
bool write_calibration_texts(const options *parsed, const pf_loaded *loaded, input_texts *texts,
                             pf_error *error);

#endif
