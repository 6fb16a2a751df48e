/* floor 4.7 - calibration write: a calibration -> keys and tensors of a checkpoint. */
#ifndef PF_CALIBRATION_WRITE_H
#define PF_CALIBRATION_WRITE_H

#include "calibration.h"
#include "checkpoint.h"

/* Returns a checkpoint with the source's keys and tensors, except those of an earlier calibration,
 * and with the keys and tensors of this calibration (attention_metadata.h lists them). It borrows
 * from source and calibration, which must outlive it. Free it with pf_checkpoint_free. NULL on
 * failure. */
pf_checkpoint *pf_calibration_to_checkpoint(const pf_calibration *calibration,
                                            const pf_model *model, const pf_checkpoint *source,
                                            pf_error *error);

#endif
