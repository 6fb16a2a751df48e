/* floor 3.5 - formats: opens a checkpoint of any supported format, recognised by its content. */
#ifndef PF_FORMATS_H
#define PF_FORMATS_H

#include "checkpoint.h"

/* Maps the file, or all files of a GGUF in several parts, and reads the tables; tensor data is not
 * touched until it is used. On failure returns NULL with a message that begins with the path. */
pf_checkpoint *pf_checkpoint_open(const char *path, pf_error *error);

/* The same for a file in memory (an embedded model, fuzzing). The bytes must outlive the
 * checkpoint; messages call it `name`. */
pf_checkpoint *pf_checkpoint_open_bytes(pf_slice bytes, const char *name, pf_error *error);

#endif
