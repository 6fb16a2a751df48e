/* floor 5.5 - training model: what `train` begins with, a new model or one to go on from. */
#ifndef TRAINING_MODEL_H
#define TRAINING_MODEL_H

#include "load.h"
#include "options.h"
#include "training_texts.h"

/* Opens --from, or makes a model of the shape that --size and the other options ask for, whose
 * tokenizer is --tokenizer's or learned from the texts. */
bool training_model_open(const options *parsed, const training_texts *texts, pf_loaded *loaded,
                         pf_error *error);

/* The attention to train with: the model's, overridden by the options. */
bool training_attention(const options *parsed, const pf_model *model,
                        pf_attention_options *attention, pf_error *error);

#endif
