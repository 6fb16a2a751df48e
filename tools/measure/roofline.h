/* floor 5.4 - roofline: what this machine can do at best.
 *
 * Memory bandwidth is shared with other programs and may double in the next minute, so a limit
 * holds only for the moment at which it was measured: measure it right before and after what you
 * compare. */
#ifndef ROOFLINE_H
#define ROOFLINE_H

#include "error.h"

#include <stddef.h>

typedef enum roofline_kind {
    ROOFLINE_READ,  /* bytes/s: all threads reading memory far larger than the caches */
    ROOFLINE_SGEMM, /* operations/s: one square product per thread, operands in cache */
    ROOFLINE_INT8,  /* operations/s: int8 multiply-adds, each counted as two */
    ROOFLINE_COUNT
} roofline_kind;

typedef struct roofline roofline;

/* Takes 256 MB, and 7 MB per thread. NULL if memory runs out. */
roofline *roofline_new(int n_threads, pf_error *error);
void roofline_free(roofline *l); /* NULL is allowed */

/* What the machine does per second right now: the best of a few short passes (10 to 50 ms in all),
 * as a disturbance only ever makes a pass slower. The value is recorded for roofline_quantile. */
double roofline_measure(roofline *l, roofline_kind kind);

/* A quantile of the values so far: share 0.5 is the median, 1 the best. 0 before the first. */
double roofline_quantile(roofline *l, roofline_kind kind, double share);

/* The code that measures int8: "avx512-vnni" or the name of the kernels. */
const char *roofline_int8_by(void);
size_t roofline_bytes(const roofline *l); /* memory it occupies */

#endif
