/* floor 5.4 - limits: what this machine can do at best, measured in the same run as everything else.
 *
 * Each limit is the best of several rounds: whatever disturbs a round only makes it slower. */
#include "limits.h"

#include "common.h"
#include "matmul.h"
#include "memory.h"
#include "quant.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    READ_BYTES = 1 << 28,
    ROUNDS = 7,
    GEMM = 768, /* m = n = k */
    GEMM_REPEATS = 4,
    DOT_COLS = 1024,
    DOT_ROWS = 64,
    DOT_REPEATS = 400, /* 70 kB of Q8_0: stays in L2 */
    VNNI_LOOPS = 1 << 20,
};

/* Sums nobody looks at must still be computed. */
typedef struct {
    atomic_ullong sink;
    const uint64_t *buffer; /* [READ_BYTES / 8] */
    float *matrices;        /* per thread A, B, C [GEMM, GEMM] */
    uint8_t *blocks;        /* Q8_0 [DOT_ROWS, DOT_COLS] */
    const float *zeros;     /* [DOT_COLS] */
} limits_work;

static void read_share(void *context, pf_member member) {
    limits_work *work = context;
    size_t begin, end;
    pf_share(member, READ_BYTES / 8, 512, &begin, &end);
    const uint64_t *buffer = work->buffer;
    uint64_t sums[16] = {0}; /* enough independent sums for any vector width */
    for (size_t i = begin; i + 16 <= end; i += 16)
        for (int j = 0; j < 16; j++) sums[j] += buffer[i + (size_t)j];
    uint64_t sum = 0;
    for (int j = 0; j < 16; j++) sum += sums[j];
    atomic_fetch_add(&work->sink, sum);
}

static void gemm_share(void *context, pf_member member) {
    limits_work *work = context;
    const size_t n = GEMM;
    float *A = work->matrices + 3 * n * n * (size_t)member.index, *B = A + n * n, *C = B + n * n;
    for (int i = 0; i < GEMM_REPEATS; i++) pf_sgemm(false, true, n, n, n, 1, A, n, B, n, 0, C, n);
}

static void dot_share(void *context, pf_member member) {
    limits_work *work = context;
    const pf_kernels *kernels = pf_kernels_get();
    int8_t q[DOT_COLS] = {0};
    float scale[DOT_COLS / 32] = {0}, sum[DOT_COLS / 32] = {0}, y[DOT_ROWS];
    pf_activation activation = {work->zeros, q, scale, sum};
    pf_matrix matrix = {PF_Q8_0, DOT_ROWS, DOT_COLS, work->blocks};
    (void)member;
    for (int i = 0; i < DOT_REPEATS; i++) kernels->matvec(matrix, activation, y, 0, DOT_ROWS);
    atomic_fetch_add(&work->sink, (unsigned long long)(y[0] != 0));
}

#if defined(__x86_64__)
/* Twelve independent sums hide the latency of VPDPBUSD; 64 multiply-adds each. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void vnni_share(void *context,
                                                                              pf_member member) {
    limits_work *work = context;
    __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8((char)(member.index + 1));
    __m512i s[12];
    for (int j = 0; j < 12; j++) s[j] = _mm512_setzero_si512();
    for (int i = 0; i < VNNI_LOOPS; i++) {
        for (int j = 0; j < 12; j++) s[j] = _mm512_dpbusd_epi32(s[j], a, b);
        __asm__ volatile("" : "+v"(a), "+v"(b)); /* or the loop becomes one product */
    }
    __m512i total = s[0];
    for (int j = 1; j < 12; j++) total = _mm512_add_epi32(total, s[j]);
    atomic_fetch_add(&work->sink, (unsigned long long)_mm512_reduce_add_epi32(total));
}

static bool has_vnni(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
}
#else
static void vnni_share(void *context, pf_member member) { (void)context, (void)member; }
static bool has_vnni(void) { return false; }
#endif

static double best_seconds(int n_threads, void (*work)(void *, pf_member), limits_work *context) {
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds_now();
        pf_parallel(n_threads, work, context);
        double seconds = seconds_now() - start;
        if (seconds < best) best = seconds;
    }
    return best;
}

static void measure(int n_threads, limits_work *work, machine_limits *limits) {
    double members = n_threads, n = GEMM;
    limits->read_gb_per_s = READ_BYTES / best_seconds(n_threads, read_share, work) / 1e9;
    limits->sgemm_gflops =
        members * GEMM_REPEATS * 2 * n * n * n / best_seconds(n_threads, gemm_share, work) / 1e9;
    if (has_vnni()) {
        limits->int8_by = "avx512-vnni";
        limits->int8_gops =
            members * VNNI_LOOPS * 12.0 * 64 * 2 / best_seconds(n_threads, vnni_share, work) / 1e9;
    } else {
        limits->int8_by = pf_kernels_get()->name;
        limits->int8_gops = members * DOT_REPEATS * 2.0 * DOT_ROWS * DOT_COLS /
                            best_seconds(n_threads, dot_share, work) / 1e9;
    }
}

bool measure_limits(int n_threads, machine_limits *limits, pf_error *error) {
    size_t matrix = (size_t)GEMM * GEMM;
    limits_work work = {0};
    uint64_t *buffer = pf_calloc(READ_BYTES, 1, "the measure of bandwidth", error);
    float *zeros = pf_calloc(DOT_COLS, sizeof(float), "the measure of int8", error);
    work.matrices =
        pf_calloc(3 * matrix * (size_t)n_threads, sizeof(float), "the measure of sgemm", error);
    work.blocks =
        pf_calloc(DOT_ROWS, pf_row_bytes(PF_Q8_0, DOT_COLS), "the measure of int8", error);
    bool good = buffer && zeros && work.matrices && work.blocks;
    if (good) {
        pf_huge_pages(buffer);
        /* Written once: pages that were never touched all read as the one page of zeros. */
        memset(buffer, 1, READ_BYTES);
        for (size_t i = 0; i < 3 * matrix * (size_t)n_threads; i++) work.matrices[i] = 0.5f;
        work.buffer = buffer;
        work.zeros = zeros;
        measure(n_threads, &work, limits);
    }
    pf_free(buffer);
    pf_free(zeros);
    pf_free(work.matrices);
    pf_free(work.blocks);
    return good;
}

static void raise_to(double *value, double other) {
    if (other > *value) *value = other;
}

void limits_raise(machine_limits *limits, const machine_limits *other) {
    raise_to(&limits->read_gb_per_s, other->read_gb_per_s);
    raise_to(&limits->sgemm_gflops, other->sgemm_gflops);
    raise_to(&limits->int8_gops, other->int8_gops);
}
