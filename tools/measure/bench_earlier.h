/* floor 5.4 - bench earlier: the results of an earlier run of bench, from its --json. */
#ifndef BENCH_EARLIER_H
#define BENCH_EARLIER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct bench_earlier bench_earlier;

/* Reads the JSON that `bench --json` wrote. NULL with a message that names the file if it is
 * something else. */
bench_earlier *bench_earlier_read(const char *path, pf_error *error);
void bench_earlier_free(bench_earlier *earlier); /* NULL is allowed */

/* The speed and the share of the limit of a test ("prefill") under an attention at a context; false
 * if the earlier run has no such test. */
bool bench_earlier_find(const bench_earlier *earlier, const char *test, const char *attention,
                        size_t context, double *tokens_per_second, double *share);

/* The type of most weights; "" if the file does not say. */
const char *bench_earlier_type(const bench_earlier *earlier);
/* A setting of the earlier run, as text or as a number; "" or 0 if the file does not say. */
const char *bench_earlier_text(const bench_earlier *earlier, const char *key);
long bench_earlier_number(const bench_earlier *earlier, const char *key);

#endif
