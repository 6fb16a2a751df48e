/* floor 1.8 - history: the keys and values that a head has folded, for features that are
 * redrawn. */
#ifndef PF_HISTORY_H
#define PF_HISTORY_H

#include "error.h"

#include <stddef.h>

/* In the order in which they were folded; all NULL where no redraw will need them. */
typedef struct pf_history {
    float *keys, *values; /* [capacity, D], keys as the features read them; owned */
    size_t count, capacity;
} pf_history;

/* Makes room for `count` keys in all. False without memory; what is there stays. */
bool pf_history_reserve(pf_history *history, size_t count, size_t D, pf_error *error);
/* Adds n keys and values [n, D], if they are kept; there must be room. */
void pf_history_append(pf_history *history, const float *keys, const float *values, size_t n,
                       size_t D);
void pf_history_free(pf_history *history);

#endif
