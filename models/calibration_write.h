/* floor 4.5 - calibration, written: what `performer calibrate` found -> keys and tensors of a
 * checkpoint. */
#ifndef PF_CALIBRATION_WRITE_H
#define PF_CALIBRATION_WRITE_H

#include "calibration.h"
#include "checkpoint.h"

/* The source's keys and tensors as they are, without what an earlier calibration left, and the
 * calibration's own (favor_keys.h lists them). Borrows from both, which must outlive it. NULL with
 * a message on failure; free with pf_checkpoint_free. */
pf_checkpoint *pf_calibration_to_checkpoint(const pf_calibration *calibration,
                                            const pf_model *model, const pf_checkpoint *source,
                                            pf_error *error);

#endif
