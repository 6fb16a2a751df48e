/* floor 3.2 - pickle torch: the globals that a state_dict uses, and what they make. */
#ifndef PF_PICKLE_TORCH_H
#define PF_PICKLE_TORCH_H

#include "pickle_machine.h"

/* Pushes the global if it is known, and refuses it by name otherwise. */
bool pf_torch_push_global(pf_machine *m, pf_slice module, pf_slice name);
/* REDUCE: pops a tuple of arguments and a global; pushes what the global makes of them. */
bool pf_torch_reduce(pf_machine *m);
/* BINPERSID: pops ('storage', torch.FloatStorage, '0', 'cpu', 4096); pushes a STORAGE. */
bool pf_torch_persistent_id(pf_machine *m);
/* BUILD: pops a state, and leaves the object below it unchanged. */
bool pf_torch_build(pf_machine *m);

#endif
