/* floor 2.4 - tail sweep: the tails of one text's rows, forward and backward, in chunks of keys.
 *
 * Row r (one token's G queries) reads the sums over the keys first ... limit[r] - 1:
 *
 *   N_r = f_q S,   S = sum_j f_k[j] V[j]^T      V has a last column of ones, so N's last is the denominator
 *
 * As in a prefill of linear attention (Choromanski et al. 2020, sec. 2.5.1; Katharopoulos et al. 2020),
 * S is carried from chunk to chunk and rows meet the keys of their own chunk by a masked product, so
 * the cost is O(keys + rows), not their product. The gradient runs the same way back, carrying dS.
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
    const size_t *limit; /* [n_rows] rising strictly where above `first`, at most n_keys */
    const float *f_q;    /* [n_rows, G, M] */
} pf_tail_sweep;

/* Floats of S for the sums at the beginning of each chunk, kept for the way back; and of scratch. */
size_t pf_tail_sweep_sums(size_t n_keys, size_t M, size_t D);
size_t pf_tail_sweep_scratch(size_t G, size_t M, size_t D);

/* N [n_rows, G, D + 1]; zeros for rows without a tail. S: pf_tail_sweep_sums() floats. */
void pf_tail_sweep_forward(const pf_tail_sweep *sweep, float *N, float *S, float *scratch);

/* The gradients df_q [n_rows, G, M] and df_k [keys, M] (rows below `first` and behind the last limit
 * are zero) from dN [n_rows, G, D + 1], after a forward with the same S. */
void pf_tail_sweep_backward(const pf_tail_sweep *sweep, const float *dN, const float *S,
                            float *df_q, float *df_k, float *scratch);

#endif
