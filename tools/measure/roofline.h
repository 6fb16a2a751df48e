/* floor 5.4 - limits: what this machine can do at best, measured in turn with what is compared to it.
 *
 * A machine's memory is shared with its neighbours and may be twice as fast in the next minute, so a limit
 * holds for the moment in which it was measured. */
#ifndef LIMITS_H
#define LIMITS_H

#include "error.h"

#include <stddef.h>

typedef enum limit_kind {
    LIMIT_READ,  /* bytes/s: all threads reading memory far larger than the caches */
    LIMIT_SGEMM, /* operations/s: one square product per thread, operands in cache */
    LIMIT_INT8,  /* operations/s: int8 multiply-adds, each counted as two */
    LIMIT_COUNT
} limit_kind;

typedef struct limits limits;

/* Takes 256 MB and 7 MB per thread. NULL without memory. */
limits *limits_new(int n_threads, pf_error *error);
void limits_free(limits *l); /* NULL is allowed */

/* What the machine does now, per second, as the best of a few short passes (10 to 50 ms in all): whatever
 * disturbs a pass only makes it slower. Remembered. */
double limits_now(limits *l, limit_kind kind);

/* Of what limits_now has returned so far: share 0.5 is the median, 1 the best; 0 before the first. */
double limits_quantile(limits *l, limit_kind kind, double share);

/* What measures int8: "avx512-vnni" or the name of the kernels. */
const char *limits_int8_by(void);
size_t limits_bytes(const limits *l); /* memory that it holds */

#endif
