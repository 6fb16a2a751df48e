/* floor 6.2 - benchmark of weights times one token, for developers: every table side by side.
 *
 *   make build/tests/bench_matvec && build/tests/bench_matvec [rounds [type ...]]
 *
 * One thread, measured by its own CPU time. For each type a matrix of 600 kB, which stays in the
 * caches, and one of 192 MB in pages of 4 kB, as those of a mapped file. In each round every table
 * takes its turn, and a loop that only reads. Prints the median rate of each table and its share of
 * the read loop's, a median of the rounds' shares, so that a machine whose memory is not steady
 * gives steady shares. Not part of `make test`. */
#define _DEFAULT_SOURCE
#include "kernels.h"
#include "memory.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>

enum { COLS = 768, ROUNDS = 200, TABLES = 16, HEAD_DIM = 64, QUERIES = 3 };
static const size_t SMALL = 600 << 10, LARGE = (size_t)192 << 20;

typedef struct measured {
    double rate[TABLES + 1][ROUNDS]; /* GB/s; the last is that of reading */
} measured;

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ratio(const double *rate, const double *by, size_t rounds) {
    double ratios[ROUNDS] = {0};
    for (size_t r = 0; r < rounds; r++) ratios[r] = rate[r] / (by ? by[r] : 1);
    qsort(ratios, rounds, sizeof *ratios, by_value);
    return ratios[rounds / 2];
}

static void *fresh(size_t n, size_t size) {
    pf_error error;
    void *block = pf_calloc(n, size, "benchmark", &error);
    if (!block) exit((fprintf(stderr, "%s\n", error.message), 1));
    return block;
}

/* Random weights whose scales are ordinary numbers, as halves and as floats. */
static void fill(uint8_t *data, size_t bytes) {
    pf_rng rng;
    pf_rng_seed(&rng, 1, 0);
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t bits = (pf_rng_u64(&rng) & 0x3bff3bff3bff3bffu) | 0x3000300030003000u;
        memcpy(data + i, &bits, 8);
    }
}

typedef enum work { MATVEC, SCORES, VALUES } work;

static void once(const pf_kernels *k, work what, pf_matrix W, pf_activation a, float *y) {
    if (what == MATVEC)
        k->matvec(W, a, y, 0, W.rows);
    else if (what == SCORES)
        k->scores(a.x, QUERIES, W, 0.125f, y, W.rows);
    else
        k->weighted_rows(y, W.rows, QUERIES, W, (float *)(uintptr_t)a.x);
}

/* Seconds for `bytes` of W, read `times` times; table NULL: the read loop. */
static double seconds(const pf_kernels *table, work what, pf_matrix W, pf_activation a, float *y,
                      size_t times) {
    size_t bytes = W.rows * pf_row_bytes(W.type, W.cols);
    volatile float sink;
    double start = cpu_seconds();
    for (size_t i = 0; i < times; i++)
        if (table)
            once(table, what, W, a, y);
        else
            sink = pf_kernels_get()->max(W.data, bytes / 4);
    (void)sink;
    return cpu_seconds() - start;
}

static void compare(const char *name, work what, pf_type type, const void *data, size_t bytes,
                    size_t rounds) {
    static measured m;
    static float x[QUERIES * COLS], scale[COLS], sum[COLS];
    static int8_t q[COLS];
    size_t cols = what == MATVEC ? COLS : HEAD_DIM, count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    pf_matrix W = {type, bytes / pf_row_bytes(type, cols), cols, data};
    size_t used = W.rows * pf_row_bytes(type, cols), times = bytes == SMALL ? 100 : 1;
    float *y = fresh(QUERIES * W.rows, sizeof *y);
    for (size_t i = 0; i < QUERIES * COLS; i++) x[i] = sinf((float)i);
    pf_activation a = {x, q, scale, sum};
    pf_kernels_get()->quantize_activation(a, COLS);
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 1; i <= count; i++) { /* without plain; backwards in every second round */
            size_t t = r % 2 ? count + 1 - i : i;
            double s = seconds(t < count ? tables[t] : NULL, what, W, a, y, times);
            m.rate[t][r] = (double)(used * times) / s * 1e-9;
        }
    printf("%-6s %-5s %-6s", name, pf_type_get(type)->name, bytes == SMALL ? "caches" : "memory");
    for (size_t t = 1; t < count; t++)
        printf(" %5.1f (%3.0f %%)", median_ratio(m.rate[t], NULL, rounds),
               100 * median_ratio(m.rate[t], m.rate[count], rounds));
    printf("  read %.1f\n", median_ratio(m.rate[count], NULL, rounds));
    fflush(stdout);
    pf_free(y);
}

static bool wanted(const char *name, int argc, char **argv) {
    for (int i = 2; i < argc; i++)
        if (strcasecmp(argv[i], name) == 0) return true;
    return argc <= 2;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    if (rounds < 1 || rounds > ROUNDS) return 2;
    size_t count;
    const pf_kernels *const *tables = pf_kernels_all(&count);
    uint8_t *data = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED || madvise(data, LARGE, MADV_NOHUGEPAGE) != 0) return 1;
    fill(data, LARGE);
    printf("GB/s (share of reading):");
    for (size_t t = 1; t < count; t++) printf("  %s", tables[t]->name);
    printf("\n");
    const size_t sizes[] = {SMALL, LARGE};
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++) {
        if (!pf_type_get(type) || !wanted(pf_type_get(type)->name, argc, argv)) continue;
        for (int i = 0; i < 2; i++)
            compare("matvec", MATVEC, (pf_type)type, data, sizes[i], (size_t)rounds);
        for (int i = 0; i < 2 && (type == PF_F32 || type == PF_F16); i++) {
            compare("keys", SCORES, (pf_type)type, data, sizes[i], (size_t)rounds);
            compare("values", VALUES, (pf_type)type, data, sizes[i], (size_t)rounds);
        }
    }
    munmap(data, LARGE);
    return 0;
}
