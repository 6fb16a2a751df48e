/* floor 3.1 - GGUF reader: versions 2 and 3, little-endian; of a model in several parts, one.
 *
 *   "GGUF", u32 version, u64 tensors, u64 keys
 *   per key:     string key, u32 type, value          (string = u64 size, bytes)
 *   per tensor:  string name, u32 dims, u64 shape[dims], u32 type, u64 offset
 *   padding to general.alignment (32), then the data; offsets count from here
 *
 * Every length, count and offset is checked before it is used, and the size of the file bounds
 * every allocation. Refused, each with its own message: big-endian files, unknown tensor
 * types, duplicate names, empty dimensions, tensors that overlap or reach beyond the end of
 * the file.
 */
#ifndef PF_GGUF_H
#define PF_GGUF_H

#include "checkpoint.h"

/* True if the first four bytes are "GGUF". */
bool pf_gguf_sniff(pf_slice bytes);

/* Adds the keys and tensors of `bytes` to an empty checkpoint. It borrows from the bytes, which
 * must live as long as it does (pf_checkpoint_take_file). To open a file, use pf_checkpoint_open
 * (formats.h). */
bool pf_gguf_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);

#endif
