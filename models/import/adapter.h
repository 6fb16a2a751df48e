/* floor 4.0 - adapter: what a LoRA adapter looks like, and what to say when it is no model. */
#ifndef PF_ADAPTER_H
#define PF_ADAPTER_H

#include "checkpoint.h"

/* True if the file is an adapter: GGUF's general.type says so, or a tensor of PEFT's names
 * (".lora_A.") is in it. */
bool pf_adapter_is_one(const pf_checkpoint *checkpoint);
/* True if the folder has an adapter_config.json and no weights of a model. */
bool pf_adapter_in_folder(const char *folder);

/* For one that is given as a model: false, with a message that says what to do. */
bool pf_adapter_fail(pf_error *error);

#endif
