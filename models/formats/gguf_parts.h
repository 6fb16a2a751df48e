/* floor 3.2 - GGUF parts: a model in several files, as llama-gguf-split writes them.
 *
 *   NAME-00001-of-00003.gguf ...   each with split.no (from 0) and split.count; the metadata is in
 *                                  the first, tensors in any of them
 */
#ifndef PF_GGUF_PARTS_H
#define PF_GGUF_PARTS_H

#include "checkpoint.h"

/* If the checkpoint, read from the file at `path`, is the first of several parts, adds the tensors
 * of the others, which must be in the same folder; the checkpoint owns their files. If it is
 * another part, or one is missing or does not belong to it, false with a message that names it.
 * path NULL: it is in memory, where there are no others. */
bool pf_gguf_parts_add(const char *path, pf_checkpoint *checkpoint, pf_error *error);

#endif
