/* floor 0.2 - threads: a team of threads that works through a whole forward pass in step.
 *
 * There is one level of parallelism. A team runs one function: every member does its own share of
 * each step (pf_share) and waits where the next step reads what others wrote (pf_barrier). Within
 * a team, BLAS runs on one thread per member. pf_parallel makes a team for one call (an OpenMP
 * region); pf_team_new makes one that lasts. While every member has a core, a barrier takes a
 * fraction of a microsecond; otherwise members sleep while they wait. */
#ifndef PF_THREADS_H
#define PF_THREADS_H

#include "error.h"

#include <stddef.h>

typedef struct pf_team pf_team;

/* A member's place in its team. */
typedef struct pf_member {
    pf_team *team;
    int index; /* 0 ... count - 1 */
    int count; /* members in the team */
} pf_member;

/* Runs work(context, member) on n_threads members (at least 1) and returns when all are done.
 * Several threads may call it at once, but a member of a team may not. */
void pf_parallel(int n_threads, void (*work)(void *context, pf_member member), void *context);

/* A team that lasts: its threads sleep between jobs, so that a token costs neither new threads nor
 * spinning. (OpenMP's threads spin for milliseconds before they sleep. On a busy machine that takes
 * a core from the very member they are waiting for.) At least 1 member; fewer than n_threads if
 * the system refuses to start more. NULL with a message if memory runs out. */
pf_team *pf_team_new(int n_threads, pf_error *error);
/* work(context, member) on every member; the caller is member 0. Returns when all are done. */
void pf_team_run(pf_team *team, void (*work)(void *context, pf_member member), void *context);
void pf_team_free(pf_team *team); /* NULL is allowed */

/* Returns once all members have called it; at once in a team of one. */
void pf_barrier(pf_member member);

/* This member's share [*begin, *end) of n items. Shares are contiguous, in order, differ by at
 * most one grain, and all but the last are multiples of `grain` (>= 1) items. */
void pf_share(pf_member member, size_t n, size_t grain, size_t *begin, size_t *end);

/* Physical cores that this process may use (by its affinity mask; a core's hyper-threads count as
 * one), but no more than the whole CPUs of its quota (cpu_quota.h); >= 1. */
int pf_threads_default(void);

#endif
