/* floor 4.0 - check finite: finds weights that are NaN or infinite. */
#ifndef PF_CHECK_FINITE_H
#define PF_CHECK_FINITE_H

#include "checkpoint.h"

/* Reads every weight once, as computing one token does, on n_threads threads. False if a weight
 * is NaN or infinite, with a message that names the file and the first tensor that has one:
 * attention would hide the value in most rows and spoil the others. meanwhile(context, error):
 * other work, which one of the threads does before it joins the check; false if it fails. NULL:
 * there is none. */
bool pf_check_finite(const pf_checkpoint *checkpoint, int n_threads,
                     bool (*meanwhile)(void *context, pf_error *error), void *context,
                     pf_error *error);

#endif
