/* floor 2.5 - train favor: what its two directions work with. Private to the module. */
#ifndef PF_TRAIN_FAVOR_STATE_H
#define PF_TRAIN_FAVOR_STATE_H

#include "train_favor.h"

/* In the task's scratch. Row i of the keys' arrays belongs to key i - window, the last one that has
 * left query i's window, so that to the tail all is as without one. Rows without such a key (or
 * with a sink) have features, values and a one that are 0. */
typedef struct pf_favor_sweep {
    const pf_favor_task *t;
    size_t n, D, M, E, absent; /* rows 0 ... absent - 1 have no key */
    pf_head_rows read, d_read; /* q and k that the features read, and their gradients */
    pf_real *f_k, *s;          /* [n, M], [n] the keys */
    pf_real *c;                /* [n] running maximum of s */
    pf_real *e, *de;           /* [n, E] */
    pf_real *f_q, *s_q;        /* [n, M], [n] one query head */
    pf_real *dR;               /* [n, E] */
    pf_real *df_q, *df_k;      /* [n, M] */
    pf_real *sum;              /* [M, E] S or T */
    pf_real *weights;          /* [chunk, chunk] exp(s_j - c_i) for j <= i, else 0 */
    pf_real *A, *dA;           /* [chunk, chunk] */
    pf_real *rows;             /* [chunk, E] */
    pf_real *exact, *d_exact;  /* [chunk, sinks + window + chunk] weights of exact keys */
    pf_real *tail;             /* [chunk] what R of the tail is multiplied with */
} pf_favor_sweep;

/* True if there are sinks or a window. */
static inline bool pf_favor_has_exact(const pf_favor_sweep *w) {
    return w->t->sinks + w->t->window > 0;
}

/* w->rows = R of the chunk's queries: the tail's, multiplied by w->tail, and the exact keys'. */
void pf_favor_add_exact(const pf_favor_sweep *w, size_t g, size_t first, size_t rows);
/* The gradients of q, k and v through the exact keys, from dR, whose rows are then multiplied by
 * w->tail: what is left is the tail's. */
void pf_favor_back_exact(const pf_favor_sweep *w, size_t g, size_t first, size_t rows);

#endif
