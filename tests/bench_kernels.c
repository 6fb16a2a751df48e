/* floor 6.2 - benchmark of the kernels, for developers: GB/s and GOP/s, next to the machine's
 * limits.
 *
 *   make build/tests/bench_kernels && build/tests/bench_kernels [threads [type]]
 *
 * Prints the best of RUNS short runs. Not part of `make test`: on a busy machine it proves
 * nothing. */
#define _POSIX_C_SOURCE 199309L
#include "kernels.h"
#include "matmul.h"
#include "memory.h"
#include "quant.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 15, COLS = 768, HIDDEN = 2048, MEMBERS = 64 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *fresh(size_t n, size_t size) {
    pf_error error;
    void *block = pf_calloc(n, size, "benchmark", &error);
    if (!block) exit((fprintf(stderr, "%s\n", error.message), 1));
    return block;
}

typedef struct {
    const pf_kernels *kernels;
    const float *X;
    float *Y;
    pf_matrix W;
    size_t T;
    pf_matmul_scratch scratch[MEMBERS];
    int8_t *q[MEMBERS];
    volatile float sink;
} job;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double best_seconds(int threads, void (*work)(void *, pf_member), void *context) {
    double seconds[RUNS];
    pf_parallel(threads, work, context);
    for (int i = 0; i < RUNS; i++) {
        double start = now();
        pf_parallel(threads, work, context);
        seconds[i] = now() - start;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    return seconds[0];
}

static void read_all(void *context, pf_member member) {
    job *j = context;
    size_t n = j->W.rows * j->W.cols, begin, end;
    pf_share(member, n, 2048, &begin, &end);
    const float *x = (const float *)j->W.data;
    for (size_t i = begin; i < end; i += 2048) {
        float m = j->kernels->max(x + i, end - i < 2048 ? end - i : 2048);
        if (m > 1e30f) j->sink = m;
    }
}

static void multiply(void *context, pf_member member) {
    job *j = context;
    pf_matmul(member, &j->scratch[member.index], j->Y, j->W.rows, j->X, j->W.cols, j->T, j->W,
              NULL);
}

static void prepare(job *j, bool quantised) {
    for (int i = 0; i < MEMBERS; i++) {
        pf_matmul_scratch *s = &j->scratch[i];
        if (!s->panel) {
            s->panel = fresh(pf_matmul_panel_floats(HIDDEN), sizeof(float));
            s->activation =
                (pf_activation){NULL, NULL, fresh(HIDDEN / 32, 4), fresh(HIDDEN / 32, 4)};
            j->q[i] = fresh(HIDDEN, 1);
        }
        s->activation.q = quantised ? j->q[i] : NULL;
    }
}

static pf_matrix weights(pf_type type, size_t rows, size_t cols) {
    size_t bytes = rows * pf_row_bytes(type, cols);
    uint8_t *data = fresh(bytes, 1);
    pf_rng rng;
    pf_rng_seed(&rng, 1, 0);
    for (size_t i = 0; i + 8 <= bytes; i += 8) { /* exponents that stay finite */
        uint64_t bits = pf_rng_u64(&rng) & 0x3bff3bff3bff3bffu;
        memcpy(data + i, &bits, 8);
    }
    return (pf_matrix){type, rows, cols, data};
}

static void favor(void *context, pf_member member) {
    job *j = context;
    size_t begin, end;
    float phi[256] = {0}, v[64] = {0}, out[64], den[1];
    pf_share(member, 1200, 1, &begin, &end);
    for (size_t head = begin; head < end; head++)
        j->kernels->favor_step((float *)(uintptr_t)j->W.data + head * 256 * 64, phi, 256, 64, 1,
                               phi, v, phi, 1, out, den);
    (void)phi;
}

static void elementwise(const pf_kernels *k) {
    enum { N = 2048, TIMES = 2000 };
    float *x = fresh(N, 4), *y = fresh(N, 4);
    const char *const names[] = {"dot",      "axpy",     "exp_sum", "swiglu",
                                 "rms_norm", "quantize", "gelu_erf"};
    int8_t *q = fresh(N, 1);
    pf_activation a = {x, q, fresh(N / 32, 4), fresh(N / 32, 4)};
    for (int what = 0; what < 7; what++) {
        for (size_t i = 0; i < N; i++) x[i] = y[i] = 1e-3f * (float)i - 1;
        double start = now();
        float sink = 0;
        for (int i = 0; i < TIMES; i++) {
            if (what == 0) sink += k->dot(x, y, N);
            if (what == 1) k->axpy(y, 1e-9f, x, N);
            if (what == 2) sink += k->exp_sum(y, x, 1, N);
            if (what == 3) k->swiglu(y, x, N);
            if (what == 4) k->rms_norm(y, x, x, 1e-5f, N);
            if (what == 5) k->quantize_activation(a, N);
            if (what == 6) k->gelu_erf(memcpy(y, x, N * sizeof *y), N);
        }
        printf("%-10s %7.3f ns per value%s\n", names[what], (now() - start) * 1e9 / N / TIMES,
               sink == 12345 ? "!" : "");
    }
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : pf_threads_default();
    if (threads < 1 || threads > MEMBERS) return 2;
    const pf_kernels *k = pf_kernels_get();
    printf("%s, %d threads, OpenBLAS %s\n", k->name, threads, pf_blas_name());
    float *X = fresh(512 * HIDDEN, sizeof *X), *Y = fresh((size_t)32000 * 512, sizeof *Y);
    for (size_t i = 0; i < 512 * HIDDEN; i++) X[i] = sinf((float)i);
    job j = {.kernels = k, .X = X, .Y = Y};
    j.W = weights(PF_F32, 64000, COLS);
    double bytes = (double)(j.W.rows * j.W.cols * 4), seconds = best_seconds(threads, read_all, &j);
    double limit = bytes / seconds * 1e-9;
    printf("read       %7.1f GB/s\n", limit);
    seconds = best_seconds(threads, favor, &j);
    printf("favor_step %7.1f GB/s read and written\n", 2 * 1200.0 * 256 * 64 * 4 / seconds * 1e-9);
    elementwise(k);
    pf_free((void *)(uintptr_t)j.W.data);
    for (uint32_t type = 0; type < PF_TYPE_COUNT; type++) {
        if (!pf_type_get(type)) continue;
        if (argc > 2 && strcmp(argv[2], pf_type_get(type)->name) != 0) continue;
        j.W = weights((pf_type)type, 64000, COLS);
        j.T = 1;
        prepare(&j, true);
        seconds = best_seconds(threads, multiply, &j);
        double rate = (double)(j.W.rows * pf_row_bytes(j.W.type, COLS)) / seconds * 1e-9;
        printf("%-5s matvec %6.1f GB/s %3.0f %%  x T:", pf_type_get(type)->name, rate,
               100 * rate / limit);
        const size_t tokens[] = {2, 4, 8, 16, 64, 256};
        j.W = pf_matrix_rows(j.W, 0, 2048);
        for (int quantised = 1; quantised >= 0; quantised--)
            for (int i = quantised ? 0 : 4; i < 6; i++) {
                j.T = tokens[i];
                prepare(&j, quantised);
                seconds = best_seconds(threads, multiply, &j);
                printf(" %s%zu: %.0f", quantised ? "" : "float ", j.T,
                       2e-9 * (double)j.T * 2048 * COLS / seconds);
            }
        printf(" GOP/s\n");
        fflush(stdout);
        pf_free((void *)(uintptr_t)j.W.data);
    }
    return 0;
}
