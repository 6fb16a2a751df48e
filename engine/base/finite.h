/* floor 1.1 - finite: are all numbers of a row numbers? */
#ifndef PF_FINITE_H
#define PF_FINITE_H

#include "tensor.h"

/* False if one of the n values of a row (of whole blocks) is NaN or infinite. Reads only what can be: the
 * scales of block formats. */
bool pf_row_is_finite(pf_type type, const void *row, size_t n);

#endif
