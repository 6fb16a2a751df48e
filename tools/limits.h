/* floor 5.4 - limits: what this machine can do at best, measured in the same run as everything else. */
#ifndef LIMITS_H
#define LIMITS_H

#include "error.h"

typedef struct machine_limits {
    double read_gb_per_s; /* all threads reading memory far larger than the caches, 1e9 bytes */
    double sgemm_gflops;  /* one square product per thread, operands in cache, 1e9 operations */
    double int8_gops;     /* int8 multiply-adds, each counted as two operations */
    const char *int8_by;  /* what did them: "avx512-vnni" or the name of the kernels */
} machine_limits;

/* Takes about two seconds and 256 MB. False without memory. */
bool measure_limits(int n_threads, machine_limits *limits, pf_error *error);

/* The larger of both, each by itself: whatever disturbs a measurement only makes it slower. */
void limits_raise(machine_limits *limits, const machine_limits *other);

#endif
