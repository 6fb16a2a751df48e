/* floor 5.7 - explain steps: from tokens to logits, as `explain` prints it. */
#ifndef EXPLAIN_STEPS_H
#define EXPLAIN_STEPS_H

#include "explain_run.h"
#include "text_page.h"

/* All steps, one heading each. */
void explain_steps_print(const explain_run *run, text_page *p);

/* The steps in the middle: scores and softmax, features, S and z, and both side by side. */
void explain_steps_print_attention(const explain_run *run, text_page *p);

/* The definition of a map's phi in one line, e.g. "phi(x)_m = exp(w_m.x - |x|^2/2) / sqrt(M)". */
const char *map_formula(pf_map_kind map);

#endif
