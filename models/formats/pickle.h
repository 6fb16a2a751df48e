/* floor 3.3 - pickle: the part of Python's pickles that a PyTorch state_dict needs, read and never executed.
 *
 * A pickle is a program for a small stack machine, and loading one in Python may call anything that
 * Python can import. This reader runs the machine for data only: dicts and OrderedDicts, lists, tuples,
 * numbers, texts, bools, None, the memo, and of all globals these, as data:
 *
 *   collections.OrderedDict, torch.Size
 *   torch._utils._rebuild_tensor_v2, _rebuild_tensor, _rebuild_parameter
 *   torch.FloatStorage, HalfStorage, BFloat16Storage, DoubleStorage, LongStorage, IntStorage,
 *   ShortStorage, CharStorage, ByteStorage, BoolStorage
 *
 * Every other global is refused by its name, and so is every opcode that is not needed. Protocols 2 to
 * 5. The number of values, the stack, the memo and all lengths are bounded; texts are borrowed from the
 * bytes. Values form a graph that a hostile file may make cyclic: whoever walks it must count.
 */
#ifndef PF_PICKLE_H
#define PF_PICKLE_H

#include "error.h"
#include "file.h"
#include "pickle_value.h"

#define PF_PICKLE_MAX_BYTES ((size_t)16 << 20) /* a tensor takes about 200 */

typedef struct pf_pickle pf_pickle;

/* Reads one pickle from the beginning of `bytes`, which must outlive it. NULL with a sentence. */
pf_pickle *pf_pickle_read(pf_slice bytes, pf_error *error);
void pf_pickle_free(pf_pickle *pickle); /* NULL is allowed */
const pf_value *pf_pickle_root(const pf_pickle *pickle);

#endif
