/* floor 0.2 - threads: a team of threads that works through a whole forward pass in step.
 *
 * A barrier counts arrivals; the last to arrive advances the generation, which the others spin on,
 * a cache line away from the counter. After a while they sleep. The scheduler wakes a sleeping
 * thread ahead of programs that only compute; one that keeps yielding would queue up after them,
 * at each of the dozens of barriers per token. */
#define _GNU_SOURCE
#include "threads.h"

#include "cpu_quota.h"
#include "memory.h"

#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* About 10 microseconds of spinning, then as many of yielding, which costs little while no other
 * program wants the core. Spinning longer only hurts teams larger than the machine and programs
 * that share it. */
enum { SPINS = 200, YIELDS = 50, CACHE_LINE = 64 };

typedef struct helper {
    pthread_t thread;
    pf_team *team;
    int index;
} helper;

struct pf_team {
    int count;
    char pad0[CACHE_LINE - sizeof(int)];
    atomic_int arrived;
    char pad1[CACHE_LINE - sizeof(atomic_int)];
    atomic_uint generation; /* of barriers */
    atomic_uint job;        /* of a team that lasts: jobs so far */
    atomic_int sleepers;
    char pad2[CACHE_LINE - 2 * sizeof(atomic_uint) - sizeof(atomic_int)];
    void (*work)(void *context, pf_member member); /* of this job; NULL: helpers end */
    void *context;
    helper *helpers; /* [count - 1], in the same block after the team */
};

void pf_parallel(int n_threads, void (*work)(void *context, pf_member member), void *context) {
    pf_team team = {.count = n_threads < 1 ? 1 : n_threads};
    if (team.count == 1) {
        work(context, (pf_member){&team, 0, 1});
        return;
    }
#pragma omp parallel num_threads(team.count)
    {
        /* OpenMP may grant fewer threads than requested (OMP_THREAD_LIMIT): count them. */
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

/* Sleeps while *word has this value; may return early. */
static void sleep_through(pf_team *team, atomic_uint *word, unsigned value) {
#ifdef __linux__
    atomic_fetch_add(&team->sleepers, 1);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    atomic_fetch_sub(&team->sleepers, 1);
#else
    (void)team, (void)word, (void)value;
    sched_yield();
#endif
}

static void wait_while(pf_team *team, atomic_uint *word, unsigned value) {
    for (int spin = 0; atomic_load_explicit(word, memory_order_acquire) == value; spin++) {
        if (spin < SPINS)
            relax();
        else if (spin < SPINS + YIELDS)
            sched_yield();
        else
            sleep_through(team, word, value);
    }
}

/* No wake-up is lost: either this sees the sleeper, or the member about to sleep sees the new
 * value. */
static void advance(pf_team *team, atomic_uint *word) {
    atomic_fetch_add(word, 1);
#ifdef __linux__
    if (atomic_load(&team->sleepers) > 0)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)team;
#endif
}

void pf_barrier(pf_member member) {
    pf_team *team = member.team;
    if (member.count == 1) return;
    unsigned generation = atomic_load_explicit(&team->generation, memory_order_acquire);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == member.count - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        advance(team, &team->generation);
    } else {
        wait_while(team, &team->generation, generation);
    }
}

/* ---- a team that lasts ---- */

static void *help(void *context) {
    helper *me = context;
    pf_team *team = me->team;
    for (unsigned job = 0;; job++) {
        wait_while(team, &team->job, job);
        if (!team->work) return NULL;
        pf_member member = {team, me->index, team->count};
        team->work(team->context, member);
        pf_barrier(member);
    }
}

pf_team *pf_team_new(int n_threads, pf_error *error) {
    size_t helpers = n_threads > 1 ? (size_t)n_threads - 1 : 0;
    pf_team *team = pf_calloc(1, sizeof *team + helpers * sizeof(helper), "a team", error);
    if (!team) return NULL;
    team->count = 1;
    team->helpers = (helper *)(void *)(team + 1);
    for (size_t i = 0; i < helpers; i++) {
        helper *next = &team->helpers[i];
        next->team = team;
        next->index = team->count;
        if (pthread_create(&next->thread, NULL, help, next) != 0) break;
        team->count++; /* helpers do not read it before the first job */
    }
    return team;
}

void pf_team_run(pf_team *team, void (*work)(void *context, pf_member member), void *context) {
    pf_member member = {team, 0, team->count};
    team->work = work;
    team->context = context;
    if (team->count > 1) advance(team, &team->job);
    work(context, member);
    pf_barrier(member);
}

void pf_team_free(pf_team *team) {
    if (!team) return;
    team->work = NULL;
    advance(team, &team->job);
    for (int i = 0; i + 1 < team->count; i++) pthread_join(team->helpers[i].thread, NULL);
    pf_free(team);
}

void pf_share(pf_member member, size_t n, size_t grain, size_t *begin, size_t *end) {
    size_t grains = (n + grain - 1) / grain;
    size_t count = (size_t)member.count, index = (size_t)member.index;
    size_t first = grains * index / count * grain, last = grains * (index + 1) / count * grain;
    *begin = first < n ? first : n;
    *end = last < n ? last : n;
}

/* The lowest-numbered hyper-thread of the core that `cpu` belongs to. */
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
    double quota = pf_cpu_quota("");
    if (quota > 0 && quota < count) count = (int)quota;
    return count > 0 ? count : 1;
}
