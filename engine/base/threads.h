/* floor 0.2 - threads: one team works through a whole forward pass in step.
 *
 * Parallelism has one level. A team, made for once by pf_parallel (an OpenMP region) or kept by
 * pf_team_new, runs one function: every member does its own share of each step (pf_share) and waits
 * where the next step reads what others wrote (pf_barrier). Inside, BLAS runs on one thread per member.
 * A barrier costs a fraction of a microsecond while all members have a core, and sleeps if not. */
#ifndef PF_THREADS_H
#define PF_THREADS_H

#include "error.h"

#include <stddef.h>

typedef struct pf_team pf_team;

/* What one member knows of itself. */
typedef struct pf_member {
    pf_team *team;
    int index; /* 0 ... count - 1 */
    int count; /* members in the team */
} pf_member;

/* Runs work(context, member) on n_threads members (at least 1) and returns when all are done.
 * May be called from many threads at once; not from inside a team. */
void pf_parallel(int n_threads, void (*work)(void *context, pf_member member), void *context);

/* A team that stays: its threads sleep between pieces of work, so that one token after the other costs no
 * thread and no spinning. (OpenMP's threads spin for milliseconds before they sleep, which takes the core
 * from the very member they wait for where another program has the other.) At least 1 member; fewer than
 * asked for if the system refuses threads. NULL with a message without memory. */
pf_team *pf_team_new(int n_threads, pf_error *error);
/* work(context, member) on every member; the caller is member 0. Returns when all are done. */
void pf_team_run(pf_team *team, void (*work)(void *context, pf_member member), void *context);
void pf_team_free(pf_team *team); /* NULL is allowed */

/* Nobody passes before all members have arrived. Free for a team of one. */
void pf_barrier(pf_member member);

/* This member's share [*begin, *end) of n items, in whole multiples of `grain` (>= 1) items except
 * for the last: shares are contiguous, in order, and differ by at most one grain. */
void pf_share(pf_member member, size_t n, size_t grain, size_t *begin, size_t *end);

/* Physical cores that this process may use (its affinity mask, hyper-threads counted once), >= 1. */
int pf_threads_default(void);

#endif
