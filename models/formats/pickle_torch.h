/* floor 3.2 - pickle, torch's part: the globals that are known, and what they make of their arguments. */
#ifndef PF_PICKLE_TORCH_H
#define PF_PICKLE_TORCH_H

#include "pickle_machine.h"

/* Pushes the global, or refuses it by name. */
bool pf_torch_push_global(pf_machine *m, pf_slice module, pf_slice name);
/* REDUCE: takes a tuple of arguments and a global, pushes what the global makes of them. */
bool pf_torch_reduce(pf_machine *m);
/* BINPERSID: takes ('storage', torch.FloatStorage, '0', 'cpu', 4096), pushes a STORAGE. */
bool pf_torch_persistent_id(pf_machine *m);
/* BUILD: takes a state and leaves the object as it is. */
bool pf_torch_build(pf_machine *m);

#endif
