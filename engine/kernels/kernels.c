/* floor 1.6 - the choice of kernels: which tables this machine can run, and which one to use. */
#include "kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* From the simplest to the fastest. Each needs everything that the ones before it need, so the
 * tables that a machine can run are always the first few. On x86-64 each has a twin before it, for
 * AMD's processors. */
static const pf_kernels *const tables[] = {
    &pf_kernels_plain,
#if defined(__x86_64__)
    &pf_kernels_avx2_amd, &pf_kernels_avx2,           &pf_kernels_avx512_amd,
    &pf_kernels_avx512,   &pf_kernels_avx512vnni_amd, &pf_kernels_avx512vnni,
#elif defined(__aarch64__)
    &pf_kernels_neon,
    &pf_kernels_neondot,
#endif
};

enum { N_TABLES = sizeof tables / sizeof tables[0] };

#if defined(__x86_64__)

static bool all_set(unsigned value, unsigned bits) { return (value & bits) == bits; }

/* XCR0: the registers that the operating system saves when it switches threads. An instruction on
 * others faults, even if CPUID advertises it. Call this only if OSXSAVE is set. */
static unsigned enabled_state(void) {
    unsigned low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* How many of the tables this machine can run. */
static size_t detect(void) {
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 }; /* leaf 1, ecx */
    enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30 };          /* leaf 7, ebx */
    const unsigned VL = 1u << 31, VNNI = 1u << 11;                            /* ebx, ecx */
    enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 };                              /* XCR0 */
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !all_set(ecx, FMA | OSXSAVE | AVX | F16C))
        return 1;
    unsigned state = enabled_state();
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 1;
    if (!all_set(state, YMM_STATE) || !all_set(ebx, AVX2)) return 1;
    if (!all_set(state, ZMM_STATE) || !all_set(ebx, F | DQ | BW | VL)) return 3;
    return all_set(ecx, VNNI) ? 7 : 5;
}

/* Hygon's processors are Zen's. */
static bool made_by_amd(void) {
    unsigned most, name[3];
    if (!__get_cpuid(0, &most, &name[0], &name[2], &name[1])) return false;
    return memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0;
}

#elif defined(__aarch64__)

/* NEON is part of aarch64. SDOT is used on Linux only, which reports it. */
static size_t detect(void) {
#if defined(__linux__)
    const unsigned long ASIMDDP = 1ul << 20;
    if (getauxval(AT_HWCAP) & ASIMDDP) return 3;
#endif
    return 2;
}

#else

static size_t detect(void) { return 1; }

#endif

#if !defined(__x86_64__)
static bool made_by_amd(void) { return false; }
#endif

/* Asked once: CPUID is slow in a virtual machine. */
static size_t usable_tables(void) {
    static atomic_size_t count;
    size_t known = atomic_load_explicit(&count, memory_order_relaxed);
    if (known == 0) {
        known = detect();
        if (known > N_TABLES) known = N_TABLES;
        atomic_store_explicit(&count, known, memory_order_relaxed);
    }
    return known;
}

const pf_kernels *const *pf_kernels_all(size_t *count) {
    *count = usable_tables();
    return tables;
}

static const pf_kernels *choose(void) {
    size_t count = usable_tables();
    const char *name = getenv("PF_KERNELS");
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(tables[i]->name, name) == 0) return tables[i];
    return tables[count - (count > 1 && made_by_amd() ? 2 : 1)];
}

const pf_kernels *pf_kernels_get(void) {
    static _Atomic(const pf_kernels *) chosen; /* threads that race here store the same pointer */
    const pf_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!kernels) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_release);
    }
    return kernels;
}

size_t pf_gemm_workspace_floats(size_t max_cols) {
    return (PF_GEMM_PANEL_FLOATS + PF_GEMM_TOKENS) * ((max_cols + 255) / 256 * 256);
}
