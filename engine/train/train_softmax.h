/* floor 2.3 - train softmax: exact attention of one head over one sequence, and its derivative.
 *
 *   s_ij = scale q_i.k_j  (j <= i),  p_ij = exp(s_ij - lse_i),  lse_i = log sum_j exp(s_ij)
 *   o_i  = sum_j p_ij v_j
 *
 * backward, with delta_i = do_i.o_i:
 *   dv_j += sum_i p_ij do_i,   ds_ij = p_ij (do_i.v_j - delta_i),
 *   dq_i = scale sum_j ds_ij k_j,   dk_j += scale sum_i ds_ij q_i
 *
 * Works through tiles of PF_SOFTMAX_TILE queries, so nothing of size n x n exists. Only lse is kept
 * from forward to backward: p is computed again (Dao et al. 2022, FlashAttention).
 */
#ifndef PF_TRAIN_SOFTMAX_H
#define PF_TRAIN_SOFTMAX_H

#include "real.h"

enum { PF_SOFTMAX_TILE = 64 };

/* Rows of one head, `stride` numbers apart: q, k, v and their gradients [n, D] each. */
typedef struct pf_head_rows {
    pf_real *q, *k, *v;
    size_t stride;
} pf_head_rows;

/* out [n, D], rows out_stride apart; normalizer [n], `heads` apart, receives lse. */
void pf_softmax_forward(pf_head_rows in, size_t n, size_t D, pf_real scale, pf_real *out,
                        size_t out_stride, pf_real *normalizer, size_t heads, pf_real *scratch);
/* Sets gradient.q; adds to gradient.k and gradient.v, which several query heads may share. */
void pf_softmax_backward(pf_head_rows in, size_t n, size_t D, pf_real scale, const pf_real *out,
                         const pf_real *d_out, size_t out_stride, const pf_real *normalizer,
                         size_t heads, pf_head_rows gradient, pf_real *scratch);
size_t pf_softmax_scratch(size_t n); /* numbers of scratch for both */

#endif
