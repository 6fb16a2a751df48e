/* floor 2.7 - feature fit state: private to feature_fit*.c.
 *
 * The parameters of a KV head are G sets for its query heads, then one for its keys. A set is the
 * rows w_0 ... w_{M-1}, u [M + 1, D], then b_0 ... b_{M-1}, c [M + 1].
 */
#ifndef PF_FEATURE_FIT_STATE_H
#define PF_FEATURE_FIT_STATE_H

#include "feature_fit.h"
#include "rng.h"
#include "tail_sweep.h"

/* The working memory of a task: one text and one KV head. R: the most rows; keys: of the text. */
typedef struct pf_fit_task {
    float *X;          /* [R, G, D] the sampled queries, balanced */
    float *U;          /* [max(R G, keys), M + 1] logits of features; then their gradients */
    float *f_q, *df_q; /* [R, G, M] */
    float *f_k, *df_k; /* [keys, M] times scale_k */
    float *scale_q;    /* [R, G] log-scales */
    float *scale_k;    /* [keys] exp(log-scale - k_max) */
    float *weight;     /* [R, G] of the tail: exp(its scale - the row's common scale) */
    float *inverse;    /* [R, G] 1 / denominator */
    float *N, *dN;     /* [R, G, D + 1] */
    float *out;        /* [R, G, D] */
    float *S, *scratch;
    float *block;    /* [32, H D] */
    float *gradient; /* as the parameters */
    size_t *limit;   /* [R] */
    float k_max;     /* the largest log-scale of a key; -INFINITY: no tail */
} pf_fit_task;

struct pf_feature_fit {
    const pf_exact_targets *exact;
    pf_fit_options options;
    size_t max_M, set_floats, kv_floats; /* parameters of a set and of a KV head at max_M */
    size_t layer;
    size_t *M;                /* [KV] */
    float *X_q, *X_k;         /* [KV, n_rows, G, D], [KV, n_rows, D] balanced, before RoPE */
    float *V;                 /* [KV, n_rows, D + 1] values, then a one */
    float *output;            /* [C, H D] W_o */
    float *gram;              /* [H D, H D] W_o^T W_o */
    double energy;            /* mean of |o W_o^T|^2 over rows */
    pf_closed_form *balanced; /* [KV] */
    float *closed_memory;
    float *parameters, *moment1, *moment2; /* [KV, kv_floats] */
    size_t n_tasks;
    pf_fit_task *tasks;
    float *task_memory;
    size_t *limits;
    /* the sample of a step */
    size_t *order;            /* [n_texts] the texts, shuffled */
    size_t deck;              /* how many of them are still to be sampled */
    size_t *text;             /* [options.texts] */
    size_t *n_sampled;        /* [options.texts] rows */
    size_t *position;         /* [options.texts, rows] ascending */
    float *errors, *products; /* [options.texts * rows, H D] o - o^; times gram */
    double *losses;           /* [n_threads, 2] */
    double *measured;         /* [measured texts, KV, windows] */
    pf_rng rng;
    double *draw; /* [D, D] scratch of pf_projection_draw */
    size_t step, n_steps;
    double loss;  /* of the last step */
    float decay;  /* of the tails: every token multiplies the sums by exp(-decay) */
    bool fixed;   /* for tests: no update */
    bool stopped; /* options.stop returned true */
};

static inline size_t pf_fit_set_floats(size_t M, size_t D) { return (M + 1) * (D + 1); }

/* Set g of KV head k; g = G is that of the keys. */
static inline float *pf_fit_set(const pf_feature_fit *f, size_t k, size_t g) {
    return f->parameters + k * f->kv_floats + g * pf_fit_set_floats(f->M[k], f->exact->D);
}

/* How many keys have left the window of the token at position p, sinks included. */
static inline size_t pf_fit_limit(size_t p, size_t window) {
    return p + 1 > window ? p + 1 - window : 0;
}

/* Copies the balanced queries of a text's rows `position` [rows] to t->X. */
void pf_fit_take_queries(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t text,
                         const size_t *position, size_t rows);
/* Features of a text's keys from the sinks to `end`: f_k, scale_k, k_max. */
void pf_fit_map_keys(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t text, size_t end);
/* Features of the queries in t->X: f_q, scale_q. */
void pf_fit_map_queries(const pf_feature_fit *f, pf_fit_task *t, size_t k, size_t rows);
/* The sweep (tail_sweep.h) of rows with these features and t->limit. */
pf_tail_sweep pf_fit_sweep(const pf_feature_fit *f, const pf_fit_task *t, size_t k, size_t text,
                           size_t rows);
/* Rows without a tail: N = 0. */
void pf_fit_no_tail(const pf_feature_fit *f, pf_fit_task *t, size_t rows);
/* Joins the exact parts of row r's G queries (rows at, at + 1, ... of `exact`) and their tails
 * under one denominator: t->out, weight, inverse. */
void pf_fit_finish_row(const pf_feature_fit *f, pf_fit_task *t, const pf_partial *exact, size_t at,
                       size_t r);

#endif
