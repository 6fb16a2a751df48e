/* floor 2.6 - train pass: its buffers, and the pieces of both directions. Private to the module. */
#ifndef PF_TRAIN_PASS_STATE_H
#define PF_TRAIN_PASS_STATE_H

#include "train_favor.h"
#include "train_fitted.h"
#include "train_pass.h"

/* What a layer keeps; N tokens in the batch, Q = (H + 2 n_kv_heads) D. */
typedef struct pf_kept_layer {
    pf_real *x, *mid;     /* [N, C] residual rows before the layer, and after attention */
    pf_real *r_x, *r_mid; /* [N] factors of the two norms */
    pf_real *qkv;         /* [N, Q], q and k after RoPE */
    pf_real *heads;       /* [N, H D] */
    pf_real *normalizer;  /* [N, H] of attention's rows */
    pf_real *gate_up;     /* [N, 2 F] */
} pf_kept_layer;

struct pf_train_pass {
    const pf_model *model;
    pf_attention_config attention;
    size_t batch, tokens; /* most of each */
    int n_threads;
    pf_team *team;
    size_t C, F, H, KV, D, G, Q, HD, V;
    size_t m;        /* rows of Omega that are drawn for each head */
    size_t n_fitted; /* numbers of features that are learned */
    bool maps_plain; /* the features read q and k before RoPE */

    pf_kept_layer *layers; /* [L] */
    pf_real *x, *r;        /* [N, C], [N] after the last layer */
    float *angles;         /* [tokens, 2 pairs] */
    pf_real *omega;        /* [L, n_kv_heads, m, D] */
    pf_real *d_fitted;     /* [batch, n_fitted] of each sequence */
    pf_train_map *q_maps;  /* [n_threads, G] */
    pf_real *losses;       /* [N] */

    pf_real *normed, *act;                        /* [N, C], [N, F] computed again when needed */
    pf_real *d_x, *d_mid, *d_normed;              /* [N, C] */
    pf_real *d_qkv, *d_heads, *d_act, *d_gate_up; /* [N, Q], [N, HD], [N, F], [N, 2 F] */
    pf_real *logits;                              /* [logit_rows, V] */
    size_t logit_rows;
    pf_real **scratch; /* [n_threads] each large enough for a head and a row of the MLP */
    void *memory;

    /* after pf_train_pass_prepare_teacher */
    pf_real *teacher;         /* [N, C] its normalised last rows */
    pf_real *teacher_logits;  /* [logit_rows, V] */
    pf_real *teacher_scratch; /* [n_threads, V] */
    void *teacher_memory;

    /* of the current run */
    const pf_train_weights *w, *gradient;
    pf_train_batch now;
    bool teaching;             /* exact attention, and only up to the last rows */
    size_t N, block, n_blocks; /* rows are shared in blocks */
};

/* The rows of block i: [*begin, *end). */
static inline void pf_block_rows(const pf_train_pass *p, size_t i, size_t *begin, size_t *end) {
    *begin = i * p->block;
    *end = *begin + p->block < p->N ? *begin + p->block : p->N;
}

/* One member's part. forward fills in what is kept and the losses; with a gradient the logits' part
 * of it, too, and d_x after the last layer. backward does the rest. */
void pf_train_forward(pf_train_pass *pass, pf_member me);
void pf_train_backward(pf_train_pass *pass, pf_member me);

/* y [rows, out] = x [rows, in] W^T + beta y, and back: dx = dy W + beta dx */
static inline void pf_train_linear(size_t rows, size_t in, size_t out, const pf_real *x,
                                   const pf_real *W, pf_real beta, pf_real *y) {
    pf_real_gemm(false, true, rows, out, in, 1, x, in, W, in, beta, y, out);
}
static inline void pf_train_linear_back(size_t rows, size_t in, size_t out, const pf_real *dy,
                                        const pf_real *W, pf_real beta, pf_real *dx) {
    pf_real_gemm(false, false, rows, in, out, 1, dy, out, W, in, beta, dx, in);
}

/* The gradient of W [rows, cols] from dy [N, rows] and x [N, cols]. */
typedef struct pf_weight_gradient {
    pf_real *gradient;
    const pf_real *dy, *x;
    size_t rows, cols;
} pf_weight_gradient;
/* gradient += dy^T x for the first n_tokens rows; members take pieces of each in turn. Those whose
 * gradient is NULL are left out. */
void pf_add_weight_gradients(pf_member me, const pf_weight_gradient *list, size_t n,
                             size_t n_tokens);

/* The same for a norm's weights, unless gradient is NULL. */
void pf_add_norm_gradient(const pf_train_pass *pass, pf_member me, const pf_real *x,
                          const pf_real *r, pf_real *gradient);

/* Attention of one KV head of one sequence, both directions. */
void pf_train_attend(const pf_train_pass *pass, size_t layer, size_t task, int member);
void pf_train_attend_back(const pf_train_pass *pass, size_t layer, size_t task, int member);
/* Numbers of scratch for both. */
size_t pf_train_attend_scratch(const pf_train_pass *pass);

#endif
