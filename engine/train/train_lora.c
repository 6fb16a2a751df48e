/* floor 2.3 - train LoRA: an update of low rank for the matrices of attention, and its derivative.
 */
#include "train_lora.h"

#include <string.h>
#include <tgmath.h>

static size_t rows_of(const pf_model *m, int part) {
    if (part == PF_LORA_OUTPUT) return m->width;
    return (size_t)m->head_dim * (part == PF_LORA_Q ? m->n_heads : m->n_kv_heads);
}

static size_t cols_of(const pf_model *m, int part) {
    return part == PF_LORA_OUTPUT ? (size_t)m->n_heads * m->head_dim : m->width;
}

/* The matrix of a part [rows, cols]; q, k and v are rows of one. */
static pf_real *matrix_of(const pf_model *m, const pf_train_layer *l, int part) {
    pf_real *at = l->qkv;
    if (part == PF_LORA_OUTPUT) return l->output;
    for (int i = PF_LORA_Q; i < part; i++) at += rows_of(m, i) * m->width;
    return at;
}

size_t pf_train_lora_numbers(const pf_model *m, size_t rank) {
    size_t n = 0;
    for (int part = 0; part < PF_LORA_PARTS; part++)
        n += rank * (rows_of(m, part) + cols_of(m, part));
    return m->n_layers * n;
}

/* The numbers are learned as one block, so they follow each other without gaps. */
void pf_train_lora_lay_out(const pf_model *m, pf_real *memory, const pf_train_lora *lora) {
    for (size_t i = 0; i < (size_t)m->n_layers * PF_LORA_PARTS; i++) {
        int part = (int)(i % PF_LORA_PARTS);
        pf_train_lora_pair *p = &lora->pairs[i];
        p->in = cols_of(m, part);
        p->out = rows_of(m, part);
        p->a = memory;
        p->b = p->a + lora->rank * p->in;
        memory = p->b + p->out * lora->rank;
    }
}

void pf_train_lora_begin(const pf_model *m, const pf_train_lora *lora, pf_rng *rng) {
    for (size_t i = 0; i < (size_t)m->n_layers * PF_LORA_PARTS; i++) {
        const pf_train_lora_pair *p = &lora->pairs[i];
        for (size_t j = 0; j < lora->rank * p->in; j++)
            p->a[j] = (pf_real)(pf_rng_normal(rng) / sqrt((double)p->in));
        memset(p->b, 0, p->out * lora->rank * sizeof *p->b);
    }
}

size_t pf_train_attention_lay_out(const pf_model *m, pf_real *memory, pf_train_layer *layers) {
    pf_carve carve = {.memory = (float *)(void *)memory};
    size_t HD = (size_t)m->n_heads * m->head_dim, KVD = (size_t)m->n_kv_heads * m->head_dim;
    for (size_t i = 0; i < m->n_layers; i++) {
        layers[i] = (pf_train_layer){.qkv = pf_carve_reals(&carve, (HD + 2 * KVD) * m->width)};
        layers[i].output = pf_carve_reals(&carve, HD * m->width);
    }
    return carve.used / (sizeof(pf_real) / sizeof(float));
}

/* ---- both directions, pair by pair ---- */

typedef struct lora_work {
    const pf_model *model;
    const pf_train_lora *lora, *gradient; /* gradient: NULL forwards */
    const pf_train_layer *from, *to;
} lora_work;

static void apply_pair(const lora_work *w, size_t i) {
    const pf_train_lora_pair *p = &w->lora->pairs[i];
    size_t layer = i / PF_LORA_PARTS, rank = w->lora->rank;
    int part = (int)(i % PF_LORA_PARTS);
    pf_real *W = matrix_of(w->model, &w->to[layer], part);
    memcpy(W, matrix_of(w->model, &w->from[layer], part), p->out * p->in * sizeof *W);
    pf_real_gemm(false, false, p->out, p->in, rank, w->lora->scale, p->b, rank, p->a, p->in, 1, W,
                 p->in);
}

static void back_pair(const lora_work *w, size_t i) {
    const pf_train_lora_pair *p = &w->lora->pairs[i], *d = &w->gradient->pairs[i];
    size_t rank = w->lora->rank;
    pf_real scale = w->lora->scale;
    const pf_real *dW = matrix_of(w->model, &w->from[i / PF_LORA_PARTS], (int)(i % PF_LORA_PARTS));
    pf_real_gemm(true, false, rank, p->in, p->out, scale, p->b, rank, dW, p->in, 1, d->a, p->in);
    pf_real_gemm(false, true, p->out, rank, p->in, scale, dW, p->in, p->a, p->in, 1, d->b, rank);
}

static void run(void *context, pf_member me) {
    const lora_work *w = context;
    size_t begin, end;
    pf_share(me, (size_t)w->model->n_layers * PF_LORA_PARTS, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        if (w->gradient)
            back_pair(w, i);
        else
            apply_pair(w, i);
    }
}

void pf_train_lora_apply(const pf_model *m, const pf_train_lora *lora, const pf_train_layer *from,
                         const pf_train_layer *to, pf_team *team) {
    lora_work w = {m, lora, NULL, from, to};
    pf_team_run(team, run, &w);
}

void pf_train_lora_back(const pf_model *m, const pf_train_lora *lora,
                        const pf_train_layer *d_layers, const pf_train_lora *gradient,
                        pf_team *team) {
    lora_work w = {m, lora, gradient, d_layers, NULL};
    pf_team_run(team, run, &w);
}
