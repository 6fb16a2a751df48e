/* floor 2.1 - activation: the nonlinearity of an MLP. */
#ifndef PF_ACTIVATION_H
#define PF_ACTIVATION_H

#include "model.h"

/* On n values of each. The result is in `gate` where the model has one (swiglu, geglu), else in
 * `up`; `gate` is then not touched. */
void pf_activate(pf_mlp_kind kind, float *gate, float *up, size_t n);

#endif
