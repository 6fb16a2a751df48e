/* floor 5.5 - calibration recall texts: for calibrate, texts that ask for what was said before. */
#ifndef CALIBRATION_RECALL_TEXTS_H
#define CALIBRATION_RECALL_TEXTS_H

#include "input.h"
#include "load.h"
#include "recall_heads.h"

typedef struct calibration_recall_texts {
    input_texts ids;
    pf_recall_text *texts; /* [n] */
    size_t n;
} calibration_recall_texts;

/* Makes copies, pass keys, named words and last values (recall_texts.h) at distances of up to
 * `farthest` tokens, out of the calibration texts. Fewer or none if these are too short, or the
 * model has no tokenizer. */
bool calibration_recall_texts_make(const pf_loaded *loaded, const input_texts *texts,
                                   size_t farthest, uint64_t seed, calibration_recall_texts *recall,
                                   pf_error *error);
void calibration_recall_texts_free(calibration_recall_texts *recall);

#endif
