/* floor 2.1 - fingerprint: 64 bits that stand for a model, hyperparameters and every weight. */
#ifndef PF_FINGERPRINT_H
#define PF_FINGERPRINT_H

#include "model.h"

/* The same for the same model, wherever and by whomever it is loaded. Reads all weights once, as one
 * token does. The defaults that a checkpoint asks for (model->attention) are not part of it. */
uint64_t pf_model_fingerprint(const pf_model *model);

#endif
