/* floor 4.7 - distilled write: what was distilled -> a checkpoint, and an adapter. */
#ifndef PF_DISTILLED_WRITE_H
#define PF_DISTILLED_WRITE_H

#include "checkpoint.h"
#include "trainer.h"

/* Returns a checkpoint with the source's keys and tensors and the learned features in place of its
 * own. merged: also with the learned matrices of attention, F32 if they were F32, otherwise F16;
 * under softmax it is then another model. It borrows from source and trainer, which must outlive
 * it. Free it with pf_checkpoint_free. NULL on failure. */
pf_checkpoint *pf_distilled_to_checkpoint(const pf_trainer *trainer, const pf_checkpoint *source,
                                          bool merged, pf_error *error);

/* Writes the update alone, as an adapter (lora_write.h), completely or not at all. */
bool pf_distilled_write_adapter(const pf_trainer *trainer, const char *path, pf_error *error);

#endif
