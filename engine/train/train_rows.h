/* floor 2.2 - train rows: the operations on single tokens, each with its derivative.
 *
 * Throughout this room dy is the gradient of the loss by y. A backward function takes the gradient
 * by an operation's result, and gives the one by its input.
 */
#ifndef PF_TRAIN_ROWS_H
#define PF_TRAIN_ROWS_H

#include "real.h"
#include "rope.h"

/* ---- RMS norm: y_i = r x_i w_i,  r = (mean(x^2) + eps)^-1/2 ---- */

/* Returns r. y [n] may be x. */
pf_real pf_rms_forward(size_t n, const pf_real *x, const pf_real *w, pf_real eps, pf_real *y);
/* dx_i += r (dy_i w_i - x_i r^2 mean_j(dy_j w_j x_j))
 * (dr/dx_i = -r^3 x_i / n; the gradient by w_i is dy_i r x_i: pf_rms_backward_weight.) */
void pf_rms_backward(size_t n, const pf_real *x, const pf_real *w, pf_real r, const pf_real *dy,
                     pf_real *dx);
/* dw [n] += dy_i r x_i */
void pf_rms_backward_weight(size_t n, const pf_real *x, pf_real r, const pf_real *dy, pf_real *dw);

/* ---- RoPE: pairs (a, b) -> (a cos t - b sin t, a sin t + b cos t) ---- */

/* Turns one head in place. It is a rotation, so its derivative is the rotation back: `inverse`.
 * angles [2 pairs]: cosines, then sines (rope.h). */
void pf_rope_rotate(pf_position_kind kind, size_t pairs, const float *angles, pf_real *x,
                    bool inverse);

/* ---- SwiGLU: y_i = silu(g_i) u_i,  silu(g) = g s,  s = 1 / (1 + exp(-g)) ---- */

/* scratch [n]. y may not be g or u. */
void pf_swiglu_forward(size_t n, const pf_real *g, const pf_real *u, pf_real *y, pf_real *scratch);
/* du_i = dy_i silu(g_i),  dg_i = dy_i u_i s (1 + g_i (1 - s)); y again, which a backward pass needs
 * and does not keep. scratch [n]. du and dg may not be g, u or dy. */
void pf_swiglu_backward(size_t n, const pf_real *g, const pf_real *u, const pf_real *dy,
                        pf_real *dg, pf_real *du, pf_real *y, pf_real *scratch);

/* ---- cross entropy: loss = log(sum_i exp(l_i)) - l_target ---- */

/* Returns the loss; logits [n] become weight * dloss/dlogits = weight (softmax_i - [i = target]).
 * weight 0: only the loss, and logits end as zeros. */
pf_real pf_cross_entropy(size_t n, pf_real *logits, size_t target, pf_real weight);

/* ---- divergence: loss = KL(p || q) = sum_i p_i log(p_i / q_i), p = softmax(teacher), q =
 * softmax(logits) ---- */

/* Returns the loss; logits [n] become weight * dloss/dlogits = weight (q_i - p_i), and teacher [n]
 * is overwritten. scratch [n]. */
pf_real pf_divergence(size_t n, pf_real *teacher, pf_real *logits, pf_real weight,
                      pf_real *scratch);

#endif
