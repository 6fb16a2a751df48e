/* floor 4.5 - numbers: finds weights that are none. */
#ifndef PF_CHECK_FINITE_H
#define PF_CHECK_FINITE_H

#include "load.h"

/* False, with a sentence that names the file and the first tensor at fault, if a weight is NaN or infinite:
 * attention would hide it in most rows and spoil the others. Reads all weights once, as one token does;
 * n_threads share the work. */
bool pf_loaded_check_numbers(const pf_loaded *loaded, int n_threads, pf_error *error);

/* pf_loaded_open and pf_loaded_check_numbers, side by side: one of the threads makes the tokenizer first. */
bool pf_loaded_open_checked(const char *path, int n_threads, pf_loaded *loaded, pf_error *error);

#endif
