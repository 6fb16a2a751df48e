/* floor 1.1 - finite: finds NaN and infinity in a row of any type. */
#ifndef PF_FINITE_H
#define PF_FINITE_H

#include "tensor.h"

/* False if any of the row's n values is NaN or infinite (n: a multiple of the block size). Of a
 * block format it reads only the scales: nothing else in a block can make a value non-finite. */
bool pf_row_is_finite(pf_type type, const void *row, size_t n);

#endif
