/* floor 4.0 - check finite: finds weights that are NaN or infinite. */
#ifndef PF_CHECK_FINITE_H
#define PF_CHECK_FINITE_H

#include "checkpoint.h"

/* Reads every weight once, as computing one token does, on n_threads threads. False if a weight is
 * NaN or infinite, with a message that names the file and the first such tensor: attention would
 * hide the value in most rows and spoil the others.
 * One of the threads calls meanwhile(context, error) before it joins the check; if that returns
 * false, so does this function. `meanwhile` may be NULL. */
bool pf_check_finite(const pf_checkpoint *checkpoint, int n_threads,
                     bool (*meanwhile)(void *context, pf_error *error), void *context,
                     pf_error *error);

#endif
