/* floor 4.6 - trained write: a trainer's weights -> keys and tensors of a checkpoint. */
#ifndef PF_TRAINED_WRITE_H
#define PF_TRAINED_WRITE_H

#include "checkpoint.h"
#include "trainer.h"

/* Returns a checkpoint with the source's keys and tensors, but with the trainer's weights (F32),
 * the attention that it trains with, and under FAVOR+ the projections in use, one per KV head. It
 * borrows from source and trainer, which must outlive it. Free it with pf_checkpoint_free. NULL on
 * failure. */
pf_checkpoint *pf_trained_to_checkpoint(pf_trainer *trainer, const pf_model *model,
                                        const pf_attention_options *attention,
                                        const pf_checkpoint *source, pf_error *error);

/* Where the weights of a tensor of the model's checkpoint are in w; NULL if they are not there. */
const float *pf_trained_weights_of(const pf_train_weights *w, const pf_model *model,
                                   const pf_tensor *tensor);

#endif
