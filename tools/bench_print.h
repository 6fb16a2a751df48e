/* floor 5.5 - bench print: the results of bench as a table, JSON or CSV. */
#ifndef BENCH_PRINT_H
#define BENCH_PRINT_H

#include "roofline.h"
#include "session.h"
#include "terminal.h"

typedef enum bench_test { BENCH_LOAD, BENCH_PREFILL, BENCH_DECODE } bench_test;

typedef struct bench_result {
    bench_test test;
    pf_attention_kind attention;
    size_t context, rounds;
    double tokens_per_second, share; /* medians of the rounds; share of the limit, from 0 to 1 */
    double slowest, fastest;         /* tokens per second */
    roofline_kind limit;
    double bytes_per_token, flops_per_token;
    size_t state_bytes;
    uint64_t rss_bytes;  /* resident after the test, without the memory of the roofline */
    uint64_t peak_bytes; /* the most until then, without the memory of the roofline */
    double speed_ratio, share_ratio; /* to an earlier run; 0: it has no such test */
} bench_result;

/* All results; the caller owns what the pointers refer to. */
typedef struct bench_report {
    const char *name; /* of the file or the shape */
    const pf_model *model;
    pf_type type;              /* the type of most weights */
    const double *type_shares; /* [PF_TYPE_COUNT] of each type in the bytes of the weights */
    pf_session_options session;
    roofline *roofline;
    const bench_result *results;
    size_t n_results;
    const char *earlier; /* the file of --compare, or NULL; results then have ratios */
} bench_report;

const char *bench_test_name(bench_test test); /* "load", "prefill", "decode" */

void bench_print_table(const bench_report *report, output *out);
void bench_print_json(const bench_report *report, output *out);
void bench_print_csv(const bench_report *report, output *out);

#endif
