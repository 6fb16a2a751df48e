/* floor 2.1 - fingerprint: 64 bits that identify a model's hyperparameters and weights. */
#ifndef PF_FINGERPRINT_H
#define PF_FINGERPRINT_H

#include "model.h"

/* The same for the same model, however it is loaded. Reads all weights once, as computing a token
 * does. The checkpoint's default attention (model->attention) does not count. */
uint64_t pf_model_fingerprint(const pf_model *model);

#endif
