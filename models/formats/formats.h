/* floor 3.5 - formats: opens a checkpoint of any supported format, found from its content. */
#ifndef PF_FORMATS_H
#define PF_FORMATS_H

#include "checkpoint.h"

/* Maps the file and reads its tables; tensor data is only touched when it is used. NULL with one
 * sentence that begins with the path. */
pf_checkpoint *pf_checkpoint_open(const char *path, pf_error *error);

/* The same for bytes in memory, which must outlive the checkpoint (embedded models, fuzzing); `name`
 * stands for the path in messages. */
pf_checkpoint *pf_checkpoint_open_bytes(pf_slice bytes, const char *name, pf_error *error);

#endif
