/* floor 2.7 - train pass: forwards, up to the losses and their gradient by the last rows. */
#include "train_pass_state.h"
#include "train_rows.h"

#include <string.h>

/* normed = norm(x) for the rows [begin, end), whose factors go to r */
static void norm_rows(const pf_train_pass *p, size_t begin, size_t end, const pf_real *x,
                      const pf_real *weight, pf_real *r) {
    size_t C = p->C;
    for (size_t t = begin; t < end; t++)
        r[t] = pf_rms_forward(C, x + t * C, weight, p->model->norm_eps, p->normed + t * C);
}

static void embed(const pf_train_pass *p, pf_real *x, size_t begin, size_t end) {
    size_t C = p->C, n = p->now.tokens;
    for (size_t t = begin; t < end; t++) {
        size_t id = (size_t)p->now.ids[t / n * (n + 1) + t % n];
        memcpy(x + t * C, p->w->embedding + id * C, C * sizeof *x);
    }
}

static void turn(const pf_train_pass *p, pf_real *qkv, size_t t) {
    size_t pairs = p->model->rope_dim / 2;
    const float *angles = p->angles + t % p->now.tokens * 2 * pairs;
    for (size_t h = 0; h < p->H + p->KV; h++)
        pf_rope_rotate(p->model->position, pairs, angles, qkv + t * p->Q + h * p->D, false);
}

static void project(pf_train_pass *p, pf_member me, size_t index) {
    const pf_train_layer *w = &p->w->layers[index];
    pf_kept_layer *l = &p->layers[index];
    size_t first, last, begin, end;
    pf_share(me, p->n_blocks, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        pf_block_rows(p, i, &begin, &end);
        if (index == 0) embed(p, l->x, begin, end);
        norm_rows(p, begin, end, l->x, w->attention_norm, l->r_x);
        pf_train_linear(end - begin, p->C, p->Q, p->normed + begin * p->C, w->qkv, 0,
                        l->qkv + begin * p->Q);
        for (size_t t = begin; t < end; t++) turn(p, l->qkv, t);
    }
    pf_barrier(me);
}

static void attend(pf_train_pass *p, pf_member me, size_t index) {
    size_t begin, end;
    pf_share(me, p->now.batch * p->KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) pf_train_attend(p, index, i, me.index);
    pf_barrier(me);
}

static void activate(const pf_train_pass *p, const pf_kept_layer *l, size_t begin, size_t end,
                     pf_real *scratch) {
    size_t F = p->F;
    for (size_t t = begin; t < end; t++) {
        const pf_real *gate = l->gate_up + t * 2 * F;
        pf_swiglu_forward(F, gate, gate + F, p->act + t * F, scratch);
    }
}

/* mid = x + output(heads), next = mid + down(act); the next layer's x. */
static void finish(pf_train_pass *p, pf_member me, size_t index) {
    const pf_train_layer *w = &p->w->layers[index];
    pf_kept_layer *l = &p->layers[index];
    pf_real *next = index + 1 < p->model->n_layers ? p->layers[index + 1].x : p->x;
    size_t C = p->C, F = p->F, first, last, begin, end;
    pf_share(me, p->n_blocks, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        pf_block_rows(p, i, &begin, &end);
        size_t rows = end - begin, bytes = rows * C * sizeof(pf_real);
        memcpy(l->mid + begin * C, l->x + begin * C, bytes);
        pf_train_linear(rows, p->HD, C, l->heads + begin * p->HD, w->output, 1, l->mid + begin * C);
        norm_rows(p, begin, end, l->mid, w->mlp_norm, l->r_mid);
        pf_train_linear(rows, C, 2 * F, p->normed + begin * C, w->gate_up, 0,
                        l->gate_up + begin * 2 * F);
        activate(p, l, begin, end, p->scratch[me.index]);
        memcpy(next + begin * C, l->mid + begin * C, bytes);
        pf_train_linear(rows, F, C, p->act + begin * F, w->down, 1, next + begin * C);
    }
    pf_barrier(me);
}

/* ---- the loss ---- */

/* Losses of the rows [begin, end) from their logits, which become their gradient. */
static void lose(const pf_train_pass *p, size_t begin, size_t end, pf_real *logits) {
    size_t V = p->V, n = p->now.tokens;
    pf_real weight = p->gradient ? p->now.weight : 0;
    for (size_t t = begin; t < end; t++) {
        size_t target = (size_t)p->now.ids[t / n * (n + 1) + t % n + 1];
        p->losses[t] = pf_cross_entropy(V, logits + (t - begin) * V, target, weight);
    }
}

/* The same for the divergence from the teacher. */
static void diverge(const pf_train_pass *p, size_t base, size_t begin, size_t end, pf_real *logits,
                    pf_real *scratch) {
    size_t V = p->V;
    pf_real weight = p->gradient ? p->now.weight : 0;
    pf_real *teacher = p->teacher_logits + (begin - base) * V;
    pf_train_linear(end - begin, p->C, V, p->teacher + begin * p->C, p->w->logits, 0, teacher);
    for (size_t t = begin; t < end; t++) {
        size_t row = (t - begin) * V;
        p->losses[t] = pf_divergence(V, teacher + row, logits + row, weight, scratch);
    }
}

/* Losses of the rows [begin, end), whose logits begin at p->logits + (begin - base) V; with a
 * gradient d_normed, too. */
static void predict_rows(const pf_train_pass *p, size_t base, size_t begin, size_t end,
                         int member) {
    size_t C = p->C, V = p->V, rows = end - begin;
    pf_real *logits = p->logits + (begin - base) * V;
    norm_rows(p, begin, end, p->x, p->w->final_norm, p->r);
    pf_train_linear(rows, C, V, p->normed + begin * C, p->w->logits, 0, logits);
    if (p->now.taught)
        diverge(p, base, begin, end, logits, p->teacher_scratch + (size_t)member * V);
    else
        lose(p, begin, end, logits);
    if (!p->gradient) return;
    pf_train_linear_back(rows, C, V, logits, p->w->logits, 0, p->d_normed + begin * C);
    memset(p->d_x + begin * C, 0, rows * C * sizeof(pf_real));
    for (size_t t = begin; t < end; t++)
        pf_rms_backward(C, p->x + t * C, p->w->final_norm, p->r[t], p->d_normed + t * C,
                        p->d_x + t * C);
}

/* A vocabulary is large: logits are made for some rows at a time. */
static void predict(pf_train_pass *p, pf_member me) {
    size_t step = p->logit_rows / p->block * p->block; /* whole blocks */
    if (step == 0) step = p->block;
    for (size_t base = 0; base < p->N; base += step) {
        size_t rows = p->N - base < step ? p->N - base : step, first, last, begin, end;
        pf_share(me, (rows + p->block - 1) / p->block, 1, &first, &last);
        for (size_t i = first; i < last; i++) {
            pf_block_rows(p, base / p->block + i, &begin, &end);
            predict_rows(p, base, begin, end, me.index);
        }
        pf_barrier(me);
        if (!p->gradient || !p->gradient->logits) continue;
        pf_weight_gradient logits = {p->gradient->logits, p->logits, p->normed + base * p->C, p->V,
                                     p->C};
        pf_add_weight_gradients(me, &logits, 1, rows);
        pf_barrier(me);
    }
}

/* What a teacher predicts is left to the learner's turn: here are the rows that say it. */
static void keep_rows(const pf_train_pass *p, pf_member me) {
    size_t first, last, begin, end, C = p->C;
    pf_share(me, p->n_blocks, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        pf_block_rows(p, i, &begin, &end);
        norm_rows(p, begin, end, p->x, p->w->final_norm, p->r);
        memcpy(p->teacher + begin * C, p->normed + begin * C, (end - begin) * C * sizeof(pf_real));
    }
}

void pf_train_forward(pf_train_pass *p, pf_member me) {
    for (size_t i = 0; i < p->model->n_layers; i++) {
        project(p, me, i);
        attend(p, me, i);
        finish(p, me, i);
    }
    if (p->teaching)
        keep_rows(p, me);
    else
        predict(p, me);
}
