/* floor 2.4 - train favor: FAVOR+ of the heads that share a key, over one sequence; derivative.
 *
 * Key j has features exp(s_j) f_j, c_i = max_{j <= i} s_j, and e_j = [v_j, 1]  [E = D + 1]:
 *   R_i = sum_{j <= i} (f^q_i.f_j) exp(s_j - c_i) e_j  [E],   out_i = R_i[0 ... D-1] / R_i[D]
 * as the engine computes it (favor_state.h). With dR_i = [do_i, -do_i.out_i] / R_i[D]:
 *   df^q_i = sum_{j <= i} exp(s_j - c_i) (e_j.dR_i) f_j
 *   df_j   = sum_{i >= j} exp(s_j - c_i) (e_j.dR_i) f^q_i
 *   de_j   = sum_{i >= j} exp(s_j - c_i) (f^q_i.f_j) dR_i
 * c_i is a constant here: it cancels in out_i. s_j is not, but it only enters with f_j, so its
 * gradient is df_j.f_j (pf_features_backward).
 *
 * In chunks of PF_FAVOR_CHUNK tokens: pairs within a chunk as a small matrix; earlier keys through
 * the prefix sum S = sum_j exp(s_j - c) f_j e_j^T [M, E], later queries through the suffix sum
 * T = sum_i exp(c - c_i) f^q_i dR_i^T [M, E]. That is O(n M D), and nothing of size n x n or
 * n x M x D is kept. No exponent is ever above 0, so nothing overflows.
 *
 * With sinks and a window (attention_head.h), the keys j < sinks and j > i - window stay exact,
 * with weights exp(scale q_i.k_j), and the tail above takes the others: R_i is the sum of both
 * parts, relative to the larger of their log-scales. dR_i is then shared out: to the exact keys as
 * in softmax, and times the tail's factor to the tail, where the query's log-scale no longer
 * cancels.
 *
 * A tail that forgets (pf_attention_options.forget), where a key weighs exp(-decay age), is the
 * same sum with s_j + decay j in place of s_j, and decay i off query i's log-scale.
 */
#ifndef PF_TRAIN_FAVOR_H
#define PF_TRAIN_FAVOR_H

#include "train_features.h"
#include "train_softmax.h"

enum { PF_FAVOR_CHUNK = 64 };

/* One KV head and its G query heads, whose rows are D numbers after each other: in.q, out, d_out
 * and gradient.q begin with the first of them. map.M may be 0 if there is a window: no tail. */
typedef struct pf_favor_task {
    pf_train_map map;          /* of the keys, and of the queries ... */
    const pf_train_map *q_map; /* ... unless these are given, one for each query head [G] */
    size_t n, G;
    size_t sinks, window;
    pf_real decay;
    pf_head_rows in;
    pf_head_rows mapped; /* q and k as the features read them, if not as `in` has them, or NULLs */
    pf_real *out;
    const pf_real *d_out;
    size_t out_stride;
    pf_real *normalizer; /* [n], `heads` apart, then the next query head's: R_i[D], kept */
    size_t heads;
    pf_head_rows gradient;        /* added to */
    pf_head_rows mapped_gradient; /* of `mapped`; added to */
    pf_real *scratch;             /* pf_favor_scratch */
} pf_favor_task;

void pf_favor_forward(const pf_favor_task *task);
void pf_favor_backward(const pf_favor_task *task);
size_t pf_favor_scratch(size_t n, size_t D, size_t M, size_t sinks, size_t window);

#endif
