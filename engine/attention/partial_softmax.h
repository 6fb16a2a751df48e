/* floor 1.8 - parts of an attention row: what a query reads from some of its keys, before dividing.
 *
 * A row of attention is sum_j exp(q.k_j) v_j / sum_j exp(q.k_j). Over any set of keys the two sums are
 * kept as exp(scale) out and exp(scale) den; parts over disjoint sets are added after bringing them
 * to one scale. An empty part has scale -INFINITY, out = den = 0.
 */
#ifndef PF_PARTIAL_SOFTMAX_H
#define PF_PARTIAL_SOFTMAX_H

typedef struct pf_partial {
    float *out;   /* [rows, D] */
    float *den;   /* [rows] */
    float *scale; /* [rows] */
} pf_partial;

#endif
