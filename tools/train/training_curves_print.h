/* floor 5.5 - training curves, printed: the losses of a run as a table and as a drawing. */
#ifndef TRAINING_CURVES_PRINT_H
#define TRAINING_CURVES_PRINT_H

#include "training_state.h"

/* Both write the whole file or none of it.
 *   CSV   step,loss,validation_loss,other_loss: a line per step; the last two columns only where
 *         they were measured
 *   SVG   the losses of the steps, smoothed, of what is held out, and under the other attention */
bool training_curves_csv(const pf_training_curves *curves, const char *path, pf_error *error);
bool training_curves_svg(const pf_training_curves *curves, const char *title, const char *path,
                         pf_error *error);

#endif
