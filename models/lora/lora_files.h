/* floor 4.3 - LoRA files: the two forms of adapters -> deltas under GGUF's names. */
#ifndef PF_LORA_FILES_H
#define PF_LORA_FILES_H

#include "checkpoint.h"

/* What the adapter at `path` adds to the matrices of `base`, times scale. The checkpoint owns the
 * adapter's file. NULL with a message that does not name the path. */
pf_checkpoint *pf_lora_gguf_deltas(const char *path, const pf_checkpoint *base, float scale,
                                   pf_error *error);
/* The same for a PEFT folder. */
pf_checkpoint *pf_lora_peft_deltas(const char *folder, const pf_checkpoint *base, float scale,
                                   pf_error *error);

#endif
