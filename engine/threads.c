/* floor 0.2 - threads: one team works through a whole forward pass in step.
 *
 * The barrier counts arrivals up and turns a generation over: members spin on the generation, a
 * cache line away from the counter, and give their core away after a while, so that more teams than
 * cores still make progress. */
#define _GNU_SOURCE
#include "threads.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

/* About 10 microseconds, then yield, which costs little where nobody else wants the core. Spinning
 * longer only hurts teams larger than the machine, and whoever shares it. */
enum { SPINS_BEFORE_YIELD = 200, CACHE_LINE = 64 };

struct pf_team {
    int count;
    char pad0[CACHE_LINE - sizeof(int)];
    atomic_int arrived;
    char pad1[CACHE_LINE - sizeof(atomic_int)];
    atomic_uint generation;
    char pad2[CACHE_LINE - sizeof(atomic_uint)];
};

void pf_parallel(int n_threads, void (*work)(void *context, pf_member member), void *context) {
    pf_team team = {.count = n_threads < 1 ? 1 : n_threads};
    if (team.count == 1) {
        work(context, (pf_member){&team, 0, 1});
        return;
    }
#pragma omp parallel num_threads(team.count)
    {
        /* OpenMP may grant fewer threads than asked for (OMP_THREAD_LIMIT): count the real ones. */
#pragma omp single
        team.count = omp_get_num_threads();
        work(context, (pf_member){&team, omp_get_thread_num(), team.count});
    }
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

void pf_barrier(pf_member member) {
    pf_team *team = member.team;
    if (member.count == 1) return;
    unsigned generation = atomic_load_explicit(&team->generation, memory_order_acquire);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == member.count - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->generation, generation + 1, memory_order_release);
        return;
    }
    for (int spin = 0; atomic_load_explicit(&team->generation, memory_order_acquire) == generation;
         spin++) {
        if (spin < SPINS_BEFORE_YIELD)
            relax();
        else
            sched_yield();
    }
}

void pf_share(pf_member member, size_t n, size_t grain, size_t *begin, size_t *end) {
    size_t grains = (n + grain - 1) / grain;
    size_t count = (size_t)member.count, index = (size_t)member.index;
    size_t first = grains * index / count * grain, last = grains * (index + 1) / count * grain;
    *begin = first < n ? first : n;
    *end = last < n ? last : n;
}

/* The first CPU of the core that `cpu` belongs to: the lowest of its hyper-threads. */
static int first_sibling(int cpu) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *file = fopen(path, "r");
    int first = cpu;
    if (file) {
        if (fscanf(file, "%d", &first) != 1) first = cpu;
        fclose(file);
    }
    return first;
}

int pf_threads_default(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &allowed)) continue;
        int first = first_sibling(cpu);
        if (first >= 0 && first < CPU_SETSIZE) CPU_SET((size_t)first, &cores);
    }
    int count = CPU_COUNT(&cores);
    return count > 0 ? count : 1;
}
