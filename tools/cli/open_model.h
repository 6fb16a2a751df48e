/* floor 5.4 - open model: the model or the tokenizer that MODEL names. */
#ifndef OPEN_MODEL_H
#define OPEN_MODEL_H

#include "checkpoint.h"
#include "load.h"
#include "options.h"

/* Opens MODEL, with what --lora names merged into it, ready to compute, and warns of an odd
 * tokenizer; fails if a weight is NaN or infinite. Close with
 * pf_loaded_close. */
bool load_model(const options *parsed, pf_loaded *loaded, pf_error *error);

/* The tokenizer alone, from a checkpoint that need not have tensors. NULL if there is none; the
 * message names the file. Free it with pf_tokenizer_free. */
pf_tokenizer *tokenizer_from_checkpoint(const pf_checkpoint *checkpoint, pf_error *error);

#endif
