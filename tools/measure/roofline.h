/* floor 5.4 - roofline: what this machine can do at best, measured in turn with what is compared to it.
 *
 * A machine's memory is shared with its neighbours and may be twice as fast in the next minute, so a limit
 * holds for the moment in which it was measured. */
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

/* Takes 256 MB and 7 MB per thread. NULL without memory. */
roofline *roofline_new(int n_threads, pf_error *error);
void roofline_free(roofline *l); /* NULL is allowed */

/* What the machine does now, per second, as the best of a few short passes (10 to 50 ms in all): whatever
 * disturbs a pass only makes it slower. Remembered. */
double roofline_measure(roofline *l, roofline_kind kind);

/* Of what roofline_measure has returned so far: share 0.5 is the median, 1 the best; 0 before the first. */
double roofline_quantile(roofline *l, roofline_kind kind, double share);

/* What measures int8: "avx512-vnni" or the name of the kernels. */
const char *roofline_int8_by(void);
size_t roofline_bytes(const roofline *l); /* memory that it holds */

#endif
