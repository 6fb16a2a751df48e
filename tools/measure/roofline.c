/* floor 5.4 - roofline: what this machine can do at best. */
#include "roofline.h"

#include "divergence.h"
#include "matmul.h"
#include "memory.h"
#include "quant.h"
#include "resources.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    READ_BYTES = 1 << 28,
    PASSES = 3,
    GEMM = 768, /* m = n = k */
    GEMM_REPEATS = 2,
    DOT_COLS = 1024,
    DOT_ROWS = 64,
    DOT_REPEATS = 400, /* 70 kB of Q8_0: stays in L2 */
    VNNI_LOOPS = 1 << 19,
    MOST_KNOWN = 1 << 14,
};

struct roofline {
    pf_team *team;
    int n_threads;
    atomic_ullong sink;                       /* keeps the compiler from dropping the sums */
    uint64_t *buffer;                         /* [READ_BYTES / 8] */
    float *matrices;                          /* per thread A, B, C [GEMM, GEMM] */
    uint8_t *blocks;                          /* Q8_0 [DOT_ROWS, DOT_COLS] */
    float *zeros;                             /* [DOT_COLS] */
    double known[ROOFLINE_COUNT][MOST_KNOWN]; /* all values measured */
    size_t n_known[ROOFLINE_COUNT];
};

static void read_share(void *context, pf_member member) {
    roofline *work = context;
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
    roofline *work = context;
    const size_t n = GEMM;
    float *A = work->matrices + 3 * n * n * (size_t)member.index, *B = A + n * n, *C = B + n * n;
    for (int i = 0; i < GEMM_REPEATS; i++) pf_sgemm(false, true, n, n, n, 1, A, n, B, n, 0, C, n);
}

static void dot_share(void *context, pf_member member) {
    roofline *work = context;
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
/* Twelve independent sums hide the latency of VPDPBUSD, which does 64 multiply-adds. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void vnni_share(void *context,
                                                                              pf_member member) {
    roofline *work = context;
    __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8((char)(member.index + 1));
    __m512i s[12];
    for (int j = 0; j < 12; j++) s[j] = _mm512_setzero_si512();
    for (int i = 0; i < VNNI_LOOPS; i++) {
        for (int j = 0; j < 12; j++) s[j] = _mm512_dpbusd_epi32(s[j], a, b);
        __asm__ volatile(""
                         : "+v"(a), "+v"(b)); /* or the compiler turns the loop into one product */
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

static size_t matrices_floats(int n_threads) { return 3 * (size_t)GEMM * GEMM * (size_t)n_threads; }

roofline *roofline_new(int n_threads, pf_error *error) {
    roofline *l = pf_calloc(1, sizeof *l, "measuring the machine", error);
    if (!l) return NULL;
    l->n_threads = n_threads;
    l->buffer = pf_calloc(READ_BYTES, 1, "measuring bandwidth", error);
    l->matrices = pf_calloc(matrices_floats(n_threads), sizeof(float), "measuring sgemm", error);
    l->blocks = pf_calloc(DOT_ROWS, pf_row_bytes(PF_Q8_0, DOT_COLS), "measuring int8", error);
    l->zeros = pf_calloc(DOT_COLS, sizeof(float), "measuring int8", error);
    if (!l->buffer || !l->matrices || !l->blocks || !l->zeros) goto fail;
    l->team = pf_team_new(n_threads, error);
    if (!l->team) goto fail;
    pf_huge_pages(l->buffer);
    /* Write every page: reads of untouched pages would all hit the one shared zero page. */
    memset(l->buffer, 1, READ_BYTES);
    for (size_t i = 0; i < matrices_floats(n_threads); i++) l->matrices[i] = 0.5f;
    return l;
fail:
    roofline_free(l);
    return NULL;
}

void roofline_free(roofline *l) {
    if (!l) return;
    pf_team_free(l->team);
    pf_free(l->buffer);
    pf_free(l->matrices);
    pf_free(l->blocks);
    pf_free(l->zeros);
    pf_free(l);
}

size_t roofline_bytes(const roofline *l) {
    return READ_BYTES + matrices_floats(l->n_threads) * sizeof(float);
}

const char *roofline_int8_by(void) { return has_vnni() ? "avx512-vnni" : pf_kernels_get()->name; }

/* Bytes or operations in one pass over all threads. */
static double amount(const roofline *l, roofline_kind kind) {
    double n = GEMM, threads = l->n_threads;
    switch (kind) {
    case ROOFLINE_READ:
        return READ_BYTES;
    case ROOFLINE_SGEMM:
        return threads * GEMM_REPEATS * 2 * n * n * n;
    default:
        return threads * 2 *
               (has_vnni() ? VNNI_LOOPS * 12.0 * 64 : DOT_REPEATS * (double)DOT_ROWS * DOT_COLS);
    }
}

double roofline_measure(roofline *l, roofline_kind kind) {
    void (*const share[ROOFLINE_COUNT])(void *, pf_member) = {read_share, gemm_share,
                                                              has_vnni() ? vnni_share : dot_share};
    double best = 1e30;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = seconds_now();
        pf_team_run(l->team, share[kind], l);
        double seconds = seconds_now() - start;
        if (seconds < best) best = seconds;
    }
    double rate = amount(l, kind) / best;
    if (l->n_known[kind] < MOST_KNOWN) l->known[kind][l->n_known[kind]++] = rate;
    return rate;
}

double roofline_quantile(roofline *l, roofline_kind kind, double share) {
    if (l->n_known[kind] == 0) return 0;
    sort_values(l->known[kind], l->n_known[kind]);
    return quantile(l->known[kind], l->n_known[kind], share);
}
