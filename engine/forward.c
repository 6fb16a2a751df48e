/* floor 2.3 - forward: the whole model, from token ids to logits.
 *
 *   x = embedding[token]
 *   for each layer:   x += output(attention(q, k, v of norm(x)))
 *                     x += down(activation(gate, up of norm(x)))
 *   logits = output matrix (often the embedding) norm(x)
 *
 * The threads of a team all run this. Each computes its own share of every step: rows of a weight
 * matrix, heads of attention, tokens of a norm. A barrier comes wherever the next step reads what
 * other threads wrote. Most time goes to reading weights (one token) or to matrix products (many).
 */
#include "forward.h"

#include "activation.h"
#include "soft_cap.h"

/* Shows rows to the tap, if there is one, while the team waits. */
static void show(pf_session *s, pf_member me, pf_tap_point point, size_t layer, const float *rows,
                 size_t n_rows, size_t n_cols) {
    if (!s->tap) return;
    pf_barrier(me);
    if (me.index == 0)
        s->tap(s->tap_context, point, (uint32_t)layer, s->position, rows, n_rows, n_cols);
    pf_barrier(me);
}

void pf_forward_embed(pf_session *s, pf_member me) {
    const pf_model *model = s->model;
    const pf_kernels *kernels = pf_kernels_get();
    size_t C = model->width, begin, end;
    pf_share(me, s->n, 1, &begin, &end);
    for (size_t t = begin; t < end; t++) {
        pf_matrix row = pf_matrix_rows(model->embedding, (size_t)s->tokens[t], 1);
        float *x = s->x + t * C;
        kernels->dequantize_row(row.type, row.data, x, C);
        if (model->embedding_scale != 1) kernels->scale(x, model->embedding_scale, C);
        if (model->position_embedding)
            kernels->axpy(x, 1, model->position_embedding + (s->position + t) * C, C);
    }
    pf_barrier(me);
}

static void norm_row(const pf_model *model, const pf_norm *norm, const float *x, float *y,
                     size_t n) {
    const pf_kernels *kernels = pf_kernels_get();
    if (model->norm == PF_NORM_RMS)
        kernels->rms_norm(y, x, norm->weight, model->norm_eps, n);
    else
        kernels->layer_norm(y, x, norm->weight, norm->bias, model->norm_eps, n);
}

static void norm_rows(pf_session *s, pf_member me, const pf_norm *weights, const float *x, float *y,
                      size_t T) {
    size_t C = s->model->width, begin, end;
    pf_share(me, T, 1, &begin, &end);
    for (size_t t = begin; t < end; t++) norm_row(s->model, weights, x + t * C, y + t * C, C);
    pf_barrier(me);
}

/* norm of the residual rows first ... first + T - 1. For one token every member computes it all:
 * that is cheaper than a barrier. */
static const float *norm(pf_session *s, pf_member me, const pf_norm *weights, size_t first,
                         size_t T) {
    size_t C = s->model->width;
    const float *x = s->x + first * C;
    if (!weights->weight) return x; /* olmo2 */
    if (T == 1) {
        float *own = s->workspaces[me.index].normed;
        norm_row(s->model, weights, x, own, C);
        return own;
    }
    norm_rows(s, me, weights, x, s->normed, T);
    return s->normed;
}

/* y [T, out] = x [T, in] W^T + bias: this member's columns. */
static void linear(pf_session *s, pf_member me, const pf_linear *layer, const float *x, float *y,
                   size_t T) {
    pf_matmul(me, &s->workspaces[me.index].matmul, y, layer->weight.rows, x, layer->weight.cols, T,
              layer->weight, layer->bias);
}

/* x += layer(input), with a norm of its own in some families: this member's columns. */
static void add_linear(pf_session *s, pf_member me, const pf_linear *layer, const pf_norm *post,
                       const float *input, pf_tap_point point, size_t index) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t C = s->model->width, begin, end;
    linear(s, me, layer, input, s->delta, s->n);
    if (post->weight) {
        pf_barrier(me);
        norm_rows(s, me, post, s->delta, s->delta, s->n);
    }
    show(s, me, point, index, s->delta, s->n, C);
    pf_share(me, C, PF_MATMUL_GRAIN, &begin, &end);
    for (size_t t = 0; t < s->n; t++)
        kernels->axpy(s->x + t * C + begin, s->model->residual_scale, s->delta + t * C + begin,
                      end - begin);
    pf_barrier(me);
}

/* An RMS norm before RoPE, of each head of q and k (qwen3), or of n_heads = 1 that is all of them
 * (olmo2). */
static void norm_heads(pf_session *s, pf_member me, const float *weight, float *rows,
                       size_t n_heads, size_t D) {
    if (!weight) return;
    const pf_kernels *kernels = pf_kernels_get();
    size_t begin, end;
    pf_share(me, s->n * n_heads, 1, &begin, &end);
    for (size_t i = begin; i < end; i++)
        kernels->rms_norm(rows + i * D, rows + i * D, weight, s->model->norm_eps, D);
}

void pf_forward_project(pf_session *s, pf_member me, size_t index) {
    const pf_model *model = s->model;
    const pf_layer *layer = &model->layers[index];
    size_t D = model->head_dim, HD = model->n_heads * D, kvD = model->n_kv_heads * D;
    const float *x = norm(s, me, &layer->attention_norm, 0, s->n);
    show(s, me, PF_TAP_ATTENTION_NORM, index, x, s->n, model->width);
    linear(s, me, &layer->q, x, s->q, s->n);
    linear(s, me, &layer->k, x, s->k, s->n);
    linear(s, me, &layer->v, x, s->v, s->n);
    pf_barrier(me);
    if (layer->q_norm || layer->k_norm) {
        size_t parts = layer->qk_norm_whole ? 1 : model->n_heads;
        size_t kv_parts = layer->qk_norm_whole ? 1 : model->n_kv_heads;
        norm_heads(s, me, layer->q_norm, s->q, parts, HD / parts);
        norm_heads(s, me, layer->k_norm, s->k, kv_parts, kvD / kv_parts);
        pf_barrier(me);
    }
    pf_rotary rotary = pf_model_rotary(model, index, s->options.context);
    if (rotary.scale != 1) {
        size_t begin, end;
        pf_share(me, s->n * model->n_heads, 1, &begin, &end);
        pf_rope_scale(rotary.scale, rotary.dim, s->q + begin * D, end - begin, D);
        pf_share(me, s->n * model->n_kv_heads, 1, &begin, &end);
        pf_rope_scale(rotary.scale, rotary.dim, s->k + begin * D, end - begin, D);
        pf_barrier(me);
    }
    show(s, me, PF_TAP_Q, index, s->q, s->n, HD);
    show(s, me, PF_TAP_K, index, s->k, s->n, kvD);
    show(s, me, PF_TAP_V, index, s->v, s->n, kvD);
}

static void attend(pf_session *s, pf_member me, size_t index) {
    pf_attention_append(s->attention, me, (uint32_t)index, s->position, s->n, s->q, s->k, s->v,
                        s->heads);
    pf_barrier(me);
}

static void mlp(pf_session *s, pf_member me, const pf_layer *layer, size_t index) {
    const pf_model *model = s->model;
    size_t F = model->hidden, begin, end;
    bool gated = layer->gate.weight.rows > 0;
    const float *x = norm(s, me, &layer->mlp_norm, 0, s->n);
    if (gated) linear(s, me, &layer->gate, x, s->gate, s->n);
    linear(s, me, &layer->up, x, s->up, s->n);
    /* the columns that this member has just written */
    pf_share(me, F, PF_MATMUL_GRAIN, &begin, &end);
    for (size_t t = 0; t < s->n; t++)
        pf_activate(model->mlp, s->gate + t * F + begin, s->up + t * F + begin, end - begin);
    pf_barrier(me);
    add_linear(s, me, &layer->down, &layer->mlp_post_norm, gated ? s->gate : s->up,
               PF_TAP_MLP_OUTPUT, index);
}

void pf_forward_finish(pf_session *s, pf_member me, size_t index) {
    const pf_layer *layer = &s->model->layers[index];
    bool parallel = s->model->parallel;
    show(s, me, PF_TAP_ATTENTION_HEADS, index, s->heads, s->n,
         s->model->n_heads * s->model->head_dim);
    if (parallel) mlp(s, me, layer, index); /* before x changes */
    add_linear(s, me, &layer->output, &layer->attention_post_norm, s->heads,
               PF_TAP_ATTENTION_OUTPUT, index);
    show(s, me, PF_TAP_ATTENTION_RESIDUAL, index, s->x, s->n, s->model->width);
    if (!parallel) mlp(s, me, layer, index);
    show(s, me, PF_TAP_LAYER, index, s->x, s->n, s->model->width);
}

void pf_forward_logits(pf_session *s, pf_member me) {
    const pf_model *model = s->model;
    const pf_kernels *kernels = pf_kernels_get();
    const float *x = norm(s, me, &model->final_norm, s->n - s->n_logits, s->n_logits);
    show(s, me, PF_TAP_FINAL_NORM, model->n_layers, x, s->n_logits, model->width);
    linear(s, me, &model->logits, x, s->logits, s->n_logits);
    size_t begin, end; /* the columns that this member has just written */
    pf_share(me, model->n_vocab, PF_MATMUL_GRAIN, &begin, &end);
    for (size_t t = 0; t < s->n_logits; t++) {
        float *logits = s->logits + t * model->n_vocab + begin;
        if (model->logit_scale != 1) kernels->scale(logits, model->logit_scale, end - begin);
        pf_soft_cap(logits, end - begin, model->logit_cap);
    }
}

void pf_forward(void *context, pf_member me) {
    pf_session *s = context;
    const pf_model *model = s->model;
    pf_forward_embed(s, me);
    show(s, me, PF_TAP_EMBEDDING, 0, s->x, s->n, model->width);
    for (size_t i = 0; i < model->n_layers; i++) {
        pf_forward_project(s, me, i);
        attend(s, me, i);
        pf_forward_finish(s, me, i);
    }
    if (s->n_logits > 0) pf_forward_logits(s, me);
}

static void run(pf_session *s) {
    if (s->weights * s->n < s->options.team_work)
        pf_parallel(1, pf_forward, s);
    else
        pf_team_run(s->team, pf_forward, s);
}

static bool check_tokens(const pf_session *s, const int32_t *tokens, size_t n, size_t n_logits,
                         pf_error *error) {
    if (n_logits > n)
        return pf_fail(error, "logits of %zu tokens asked for, but only %zu are new", n_logits, n);
    if (n > pf_session_room(s))
        return pf_fail(
            error,
            "the text needs %zu tokens, but the context holds %zu; shorten it, or give a "
            "larger --context",
            s->position + n, s->options.context);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= s->model->n_vocab)
            return pf_fail(error,
                           "token id %d at place %zu is outside the model's vocabulary of %u",
                           tokens[i], i, s->model->n_vocab);
    return true;
}

bool pf_session_append(pf_session *s, const int32_t *tokens, size_t n, float *logits,
                       size_t n_logits, pf_error *error) {
    if (!check_tokens(s, tokens, n, n_logits, error)) return false;
    size_t skipped = n - n_logits; /* tokens whose logits are not wanted */
    for (size_t done = 0; done < n; done += s->n) {
        s->tokens = tokens + done;
        s->n = n - done < s->chunk ? n - done : s->chunk;
        size_t end = done + s->n, wanted = end > skipped ? end - skipped : 0;
        s->n_logits = wanted < s->n ? wanted : s->n;
        s->logits = s->n_logits > 0 ? logits + (wanted - s->n_logits) * s->model->n_vocab : NULL;
        if (!pf_attention_begin(s->attention, s->position, s->n, error)) return false;
        run(s);
        s->position += s->n;
    }
    return true;
}
