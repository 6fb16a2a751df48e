/* floor 2.7 - train pass: backwards, from the last rows' gradient to all weights.
 *
 * For y = x W^T, with rows of x and y one token each:  dx = dy W  and  dW = dy^T x.
 * Each step first takes the gradient through a block of rows, then, after a barrier, adds up what
 * the weights of that step get from all rows.
 */
#include "train_pass_state.h"
#include "train_rows.h"

#include <string.h>

enum { PIECE = 128 }; /* rows of a weight, or columns of a vector, that a member takes at a time */

static bool is_mine(pf_member me, size_t piece) {
    return piece % (size_t)me.count == (size_t)me.index;
}

static size_t piece_of(size_t begin, size_t n) { return n - begin < PIECE ? n - begin : PIECE; }

void pf_add_weight_gradients(pf_member me, const pf_weight_gradient *list, size_t n,
                             size_t n_tokens) {
    size_t piece = 0;
    for (size_t i = 0; i < n; i++) {
        const pf_weight_gradient *g = &list[i];
        if (!g->gradient) continue;
        for (size_t r = 0; r < g->rows; r += PIECE)
            if (is_mine(me, piece++))
                pf_real_gemm(true, false, piece_of(r, g->rows), g->cols, n_tokens, 1, g->dy + r,
                             g->rows, g->x, g->cols, 1, g->gradient + r * g->cols, g->cols);
    }
}

void pf_add_norm_gradient(const pf_train_pass *p, pf_member me, const pf_real *x, const pf_real *r,
                          pf_real *gradient) {
    size_t C = p->C;
    if (!gradient) return;
    for (size_t c = 0; c < C; c += PIECE) {
        if (!is_mine(me, c / PIECE)) continue;
        for (size_t t = 0; t < p->N; t++)
            pf_rms_backward_weight(piece_of(c, C), x + t * C + c, r[t], p->d_normed + t * C + c,
                                   gradient + c);
    }
}

/* normed = norm(x) again, from the kept factors */
static void norm_again(const pf_train_pass *p, size_t begin, size_t end, const pf_real *x,
                       const pf_real *r, const pf_real *weight) {
    size_t C = p->C;
    for (size_t t = begin; t < end; t++)
        for (size_t c = 0; c < C; c++) p->normed[t * C + c] = r[t] * x[t * C + c] * weight[c];
}

/* to = from + back through norm(x), from d_normed */
static void back_norm(const pf_train_pass *p, size_t begin, size_t end, const pf_real *x,
                      const pf_real *r, const pf_real *weight, const pf_real *from, pf_real *to) {
    size_t C = p->C;
    memcpy(to + begin * C, from + begin * C, (end - begin) * C * sizeof *to);
    for (size_t t = begin; t < end; t++)
        pf_rms_backward(C, x + t * C, weight, r[t], p->d_normed + t * C, to + t * C);
}

/* next = mid + down(silu(gate) up):  d_x (of next) -> d_mid, d_heads */
static void back_mlp_rows(const pf_train_pass *p, size_t index, size_t begin, size_t end,
                          pf_real *scratch) {
    const pf_train_layer *w = &p->w->layers[index];
    const pf_kept_layer *l = &p->layers[index];
    size_t C = p->C, F = p->F, rows = end - begin;
    pf_train_linear_back(rows, F, C, p->d_x + begin * C, w->down, 0, p->d_act + begin * F);
    for (size_t t = begin; t < end; t++) {
        const pf_real *gate = l->gate_up + t * 2 * F;
        pf_real *d_gate = p->d_gate_up + t * 2 * F;
        pf_swiglu_backward(F, gate, gate + F, p->d_act + t * F, d_gate, d_gate + F, p->act + t * F,
                           scratch);
    }
    pf_train_linear_back(rows, C, 2 * F, p->d_gate_up + begin * 2 * F, w->gate_up, 0,
                         p->d_normed + begin * C);
    norm_again(p, begin, end, l->mid, l->r_mid, w->mlp_norm);
    back_norm(p, begin, end, l->mid, l->r_mid, w->mlp_norm, p->d_x, p->d_mid);
    pf_train_linear_back(rows, p->HD, C, p->d_mid + begin * C, w->output, 0,
                         p->d_heads + begin * p->HD);
}

static void back_mlp(const pf_train_pass *p, pf_member me, size_t index) {
    const pf_train_layer *g = &p->gradient->layers[index];
    const pf_kept_layer *l = &p->layers[index];
    size_t first, last, begin, end;
    pf_share(me, p->n_blocks, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        pf_block_rows(p, i, &begin, &end);
        back_mlp_rows(p, index, begin, end, p->scratch[me.index]);
    }
    pf_barrier(me);
    const pf_weight_gradient list[] = {
        {g->gate_up, p->d_gate_up, p->normed, 2 * p->F, p->C},
        {g->down, p->d_x, p->act, p->C, p->F},
        {g->output, p->d_mid, l->heads, p->C, p->HD},
    };
    pf_add_weight_gradients(me, list, sizeof list / sizeof *list, p->N);
    pf_add_norm_gradient(p, me, l->mid, l->r_mid, g->mlp_norm);
}

static void back_attention(const pf_train_pass *p, pf_member me, size_t index) {
    size_t begin, end;
    pf_share(me, p->now.batch * p->KV, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) pf_train_attend_back(p, index, i, me.index);
    pf_barrier(me);
}

static void turn_back(const pf_train_pass *p, size_t t) {
    size_t pairs = p->model->rope_dim / 2;
    const float *angles = p->angles + t % p->now.tokens * 2 * pairs;
    for (size_t h = 0; h < p->H + p->KV; h++)
        pf_rope_rotate(p->model->position, pairs, angles, p->d_qkv + t * p->Q + h * p->D, true);
}

/* q, k, v = W norm(x):  d_qkv, d_mid -> d_x */
static void back_project(const pf_train_pass *p, pf_member me, size_t index) {
    const pf_train_layer *w = &p->w->layers[index], *g = &p->gradient->layers[index];
    const pf_kept_layer *l = &p->layers[index];
    size_t C = p->C, first, last, begin, end;
    pf_share(me, p->n_blocks, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        pf_block_rows(p, i, &begin, &end);
        for (size_t t = begin; t < end; t++) turn_back(p, t);
        pf_train_linear_back(end - begin, C, p->Q, p->d_qkv + begin * p->Q, w->qkv, 0,
                             p->d_normed + begin * C);
        norm_again(p, begin, end, l->x, l->r_x, w->attention_norm);
        back_norm(p, begin, end, l->x, l->r_x, w->attention_norm, p->d_mid, p->d_x);
    }
    pf_barrier(me);
    const pf_weight_gradient qkv = {g->qkv, p->d_qkv, p->normed, p->Q, C};
    pf_add_weight_gradients(me, &qkv, 1, p->N);
    pf_add_norm_gradient(p, me, l->x, l->r_x, g->attention_norm);
    pf_barrier(me);
}

/* x = embedding[token]: members take columns, so that no two add to one number. */
static void back_embedding(const pf_train_pass *p, pf_member me) {
    size_t C = p->C, n = p->now.tokens;
    if (!p->gradient->embedding) return;
    for (size_t c = 0; c < C; c += PIECE) {
        if (!is_mine(me, c / PIECE)) continue;
        for (size_t t = 0; t < p->N; t++) {
            size_t id = (size_t)p->now.ids[t / n * (n + 1) + t % n];
            pf_real_axpy(p->gradient->embedding + id * C + c, 1, p->d_x + t * C + c,
                         piece_of(c, C));
        }
    }
}

/* Each sequence has its own gradient of the features, so that the sum is in one order. */
static void clear_fitted(const pf_train_pass *p, pf_member me) {
    size_t begin, end;
    pf_share(me, p->now.batch * p->n_fitted, PIECE, &begin, &end);
    memset(p->d_fitted + begin, 0, (end - begin) * sizeof(pf_real));
}

static void add_fitted(const pf_train_pass *p, pf_member me) {
    size_t begin, end;
    pf_share(me, p->n_fitted, PIECE, &begin, &end);
    for (size_t b = 0; b < p->now.batch; b++)
        pf_real_axpy(p->gradient->fitted + begin, 1, p->d_fitted + b * p->n_fitted + begin,
                     end - begin);
}

void pf_train_backward(pf_train_pass *p, pf_member me) {
    if (p->n_fitted > 0) clear_fitted(p, me);
    pf_add_norm_gradient(p, me, p->x, p->r, p->gradient->final_norm);
    pf_barrier(me); /* d_normed is used again */
    for (size_t i = p->model->n_layers; i-- > 0;) {
        back_mlp(p, me, i);
        back_attention(p, me, i);
        back_project(p, me, i);
    }
    back_embedding(p, me);
    if (p->n_fitted > 0) add_fitted(p, me);
}
