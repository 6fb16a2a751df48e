/* floor 2.4 - tail sweep: the tails of one text's rows and their gradients, in chunks of keys.
 *
 * Row r (one token's G queries) reads the sums over the keys first ... limit[r] - 1:
 *
 *   N_r = f_q S,   S = sum_j f_k[j] V[j]^T
 *
 * The last column of V is all ones, so the last number of N_r is the denominator.
 *
 * As in the prefill of linear attention (Choromanski et al. 2020, sec. 2.5.1; Katharopoulos et al.
 * 2020), S is carried from chunk to chunk, and rows see the keys of their own chunk through a
 * masked product, so the cost is O(keys + rows) and not their product. The gradient runs
 * backwards, carrying dS.
 */
#ifndef PF_TAIL_SWEEP_H
#define PF_TAIL_SWEEP_H

#include <stddef.h>

enum { PF_SWEEP_CHUNK = 64 }; /* keys */

typedef struct pf_tail_sweep {
    size_t M, D, G;
    const float *f_k; /* [keys, M] */
    const float *V;   /* [keys, D + 1] */
    size_t first, n_keys;
    size_t n_rows;
    const size_t *limit; /* [n_rows] strictly ascending where above `first`, at most n_keys */
    const float *f_q;    /* [n_rows, G, M] */
} pf_tail_sweep;

/* How many floats S and scratch take. S holds the sums before each chunk for the backward sweep. */
size_t pf_tail_sweep_sums(size_t n_keys, size_t M, size_t D);
size_t pf_tail_sweep_scratch(size_t G, size_t M, size_t D);

/* Computes N [n_rows, G, D + 1], zeros for rows without a tail, and S. */
void pf_tail_sweep_forward(const pf_tail_sweep *sweep, float *N, float *S, float *scratch);

/* Computes the gradients df_q [n_rows, G, M] and df_k [keys, M] from dN [n_rows, G, D + 1], after
 * a forward sweep that filled S. df_k is zero before `first` and from the last limit on. */
void pf_tail_sweep_backward(const pf_tail_sweep *sweep, const float *dN, const float *S,
                            float *df_q, float *df_k, float *scratch);

#endif
