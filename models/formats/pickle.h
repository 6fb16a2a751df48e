/* floor 3.3 - pickle: reads the part of Python's pickles that a PyTorch state_dict needs, as data.
 *
 * A pickle is a program for a small stack machine, and loading it in Python may call anything that
 * Python can import. This reader never calls anything. It knows the opcodes that make data: dicts,
 * lists, tuples, numbers, strings, bools, None and the memo. Of all globals it knows these, and
 * what they make is data too:
 *
 *   collections.OrderedDict, torch.Size
 *   torch._utils._rebuild_tensor_v2, _rebuild_tensor, _rebuild_parameter
 *   torch.FloatStorage, HalfStorage, BFloat16Storage, DoubleStorage, LongStorage, IntStorage,
 *   ShortStorage, CharStorage, ByteStorage, BoolStorage
 *
 * Every other global and every other opcode is refused by name. Protocols 2 to 5 are read. The
 * number of values, the stack, the memo and all lengths are bounded. A hostile file can make the
 * graph of values cyclic: if you walk it, limit the number of steps.
 */
#ifndef PF_PICKLE_H
#define PF_PICKLE_H

#include "error.h"
#include "file.h"
#include "pickle_value.h"

#define PF_PICKLE_MAX_BYTES ((size_t)16 << 20) /* a tensor needs about 200 */

typedef struct pf_pickle pf_pickle;

/* Reads the pickle at the beginning of `bytes`. Strings are borrowed: the bytes must outlive the
 * result. NULL on failure. */
pf_pickle *pf_pickle_read(pf_slice bytes, pf_error *error);
void pf_pickle_free(pf_pickle *pickle); /* NULL is allowed */
const pf_value *pf_pickle_root(const pf_pickle *pickle);

#endif
