/* floor 2.9 - calibration result: the memory of a pf_calibration; private to calibration*.c. */
#ifndef PF_CALIBRATION_RESULT_H
#define PF_CALIBRATION_RESULT_H

#include "calibration.h"

/* An empty result: every head has the options' window and features. Free with
 * pf_calibration_free. */
pf_calibration *pf_calibration_new(const pf_model *model, const pf_calibration_options *options,
                                   pf_error *error);

/* Zeroed floats that live as long as the result. */
float *pf_calibration_alloc(pf_calibration *calibration, size_t floats, pf_error *error);

#endif
