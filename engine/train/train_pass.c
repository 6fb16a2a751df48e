/* floor 2.7 - train pass: the whole model forwards over a batch, and the loss back. */
#include "train_pass.h"

#include "memory.h"
#include "random_features.h"
#include "train_pass_state.h"

#include <string.h>

enum { MOST_LOGITS = 1 << 22, BLOCKS = 16, GRAIN = 16, LARGEST_BLOCK = 256 };

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* Rows per block: enough blocks for a team, whatever its size, and large enough for BLAS. */
static size_t block_of(size_t N) {
    size_t rows = (N / BLOCKS + GRAIN - 1) / GRAIN * GRAIN;
    return rows < GRAIN ? GRAIN : at_most(rows, LARGEST_BLOCK);
}

static void set_sizes(pf_train_pass *p, const pf_model *model, const pf_attention_options *o,
                      size_t batch, size_t tokens, int n_threads) {
    *p = (pf_train_pass){.model = model,
                         .attention = pf_attention_configure(model, *o, tokens),
                         .batch = batch,
                         .tokens = tokens,
                         .n_threads = n_threads < 1 ? 1 : n_threads};
    p->C = model->width;
    p->F = model->hidden;
    p->H = model->n_heads;
    p->KV = model->n_kv_heads;
    p->D = model->head_dim;
    p->G = p->H / p->KV;
    p->HD = p->H * p->D;
    p->Q = p->HD + 2 * p->KV * p->D;
    p->V = model->n_vocab;
    const pf_attention_options *resolved = &p->attention.options;
    bool favor = o->kind == PF_ATTENTION_FAVOR,
         fitted = favor && resolved->map == PF_MAP_NORMALIZED;
    p->m = favor && !fitted ? pf_map_projections(resolved->map, resolved->features) : 0;
    p->n_fitted = fitted ? pf_train_fitted_at(&p->attention, model->n_layers, true, 0) : 0;
    p->maps_plain = fitted && !p->attention.tail_rope;
    p->N = batch * tokens;
    p->logit_rows = at_most(p->N, MOST_LOGITS / p->V / GRAIN * GRAIN);
    if (p->logit_rows < at_most(p->N, LARGEST_BLOCK)) p->logit_rows = at_most(p->N, LARGEST_BLOCK);
}

static void lay_out_layer(const pf_train_pass *p, pf_carve *carve, pf_kept_layer *l) {
    size_t N = p->N;
    pf_kept_layer counted;
    if (!l) l = &counted;
    l->x = pf_carve_reals(carve, N * p->C);
    l->mid = pf_carve_reals(carve, N * p->C);
    l->r_x = pf_carve_reals(carve, N);
    l->r_mid = pf_carve_reals(carve, N);
    l->qkv = pf_carve_reals(carve, N * p->Q);
    l->heads = pf_carve_reals(carve, N * p->HD);
    l->normalizer = pf_carve_reals(carve, N * p->H);
    l->gate_up = pf_carve_reals(carve, N * 2 * p->F);
}

static size_t scratch_of(const pf_train_pass *p) {
    size_t head = pf_train_attend_scratch(p);
    return head > p->F ? head : p->F;
}

/* Returns floats. */
static size_t lay_out(pf_train_pass *p, float *memory) {
    pf_carve carve = {.memory = memory};
    size_t N = p->N;
    for (size_t i = 0; i < p->model->n_layers; i++)
        lay_out_layer(p, &carve, p->layers ? &p->layers[i] : NULL);
    p->x = pf_carve_reals(&carve, N * p->C);
    p->r = pf_carve_reals(&carve, N);
    p->angles = pf_carve_floats(&carve, p->tokens * p->model->rope_dim);
    p->omega = pf_carve_reals(&carve, p->model->n_layers * p->KV * p->m * p->D);
    p->d_fitted = pf_carve_reals(&carve, p->batch * p->n_fitted);
    p->losses = pf_carve_reals(&carve, N);
    p->normed = pf_carve_reals(&carve, N * p->C);
    p->act = pf_carve_reals(&carve, N * p->F);
    p->d_x = pf_carve_reals(&carve, N * p->C);
    p->d_mid = pf_carve_reals(&carve, N * p->C);
    p->d_normed = pf_carve_reals(&carve, N * p->C);
    p->d_qkv = pf_carve_reals(&carve, N * p->Q);
    p->d_heads = pf_carve_reals(&carve, N * p->HD);
    p->d_act = pf_carve_reals(&carve, N * p->F);
    p->d_gate_up = pf_carve_reals(&carve, N * 2 * p->F);
    p->logits = pf_carve_reals(&carve, p->logit_rows * p->V);
    for (int i = 0; i < p->n_threads; i++) {
        pf_real *own = pf_carve_reals(&carve, scratch_of(p));
        if (p->scratch) p->scratch[i] = own;
    }
    return carve.used;
}

size_t pf_train_pass_bytes(const pf_model *model, const pf_attention_options *attention,
                           size_t batch, size_t tokens, int n_threads) {
    pf_train_pass p;
    set_sizes(&p, model, attention, batch, tokens, n_threads);
    return lay_out(&p, NULL) * sizeof(float);
}

static void set_angles(pf_train_pass *p) {
    const pf_model *model = p->model;
    double frequency[1024];
    size_t pairs = model->rope_dim / 2;
    pf_rope_frequencies(model->rope_base, model->rope_factors, model->rope_dim, frequency);
    for (size_t t = 0; t < p->tokens; t++)
        pf_rope_angles(frequency, pairs, t, p->angles + t * 2 * pairs);
}

/* True if the model's file has features for every head that is to have some. */
static bool has_fitted(const pf_model *model, const pf_attention_options *o) {
    pf_attention_config c = pf_attention_configure(model, *o, model->context);
    for (size_t i = 0; i < model->n_layers; i++)
        for (size_t k = 0; k < model->n_kv_heads; k++) {
            const pf_favor_weights *w = &model->layers[i].favor;
            size_t M = pf_train_head_of(&c, i, k).M;
            if (M > 0 && (!w->q_weight || w->fitted_features < M)) return false;
        }
    return true;
}

static bool check(const pf_model *model, const pf_attention_options *o, pf_error *error) {
    if (!pf_train_can(model, error)) return false;
    if (model->rope_dim > 2048)
        return pf_fail(error, "heads of %u dimensions are too large to train", model->head_dim);
    if (o->kind == PF_ATTENTION_SOFTMAX) return true;
    if (o->kind == PF_ATTENTION_LOCAL)
        return pf_fail(error, "training knows the attentions softmax and favor, not local; choose "
                              "with --attention");
    if (o->epsilon > 0) return pf_fail(error, "training with --epsilon is not supported");
    if (o->map != PF_MAP_NORMALIZED && (model->windows || model->head_features))
        return pf_fail(error, "the model's heads have windows and features of their own, which can "
                              "only be trained together with its fitted features");
    if (o->map == PF_MAP_NORMALIZED && !has_fitted(model, o))
        return pf_fail(error, "the map normalized is fitted by `performer calibrate`, and this "
                              "model has none of it, or not for so many features; train with "
                              "positive, hyperbolic, favor++, relu or elu");
    return pf_train_map_check(o->map, error);
}

pf_train_pass *pf_train_pass_new(const pf_model *model, const pf_attention_options *attention,
                                 size_t batch, size_t tokens, int n_threads, pf_error *error) {
    if (!check(model, attention, error)) return NULL;
    pf_train_pass *p = pf_calloc(1, sizeof *p, "training", error);
    if (!p) return NULL;
    set_sizes(p, model, attention, batch, tokens, n_threads);
    size_t floats = lay_out(p, NULL);
    p->layers = pf_calloc(model->n_layers, sizeof *p->layers, "training", error);
    p->scratch = pf_calloc((size_t)p->n_threads, sizeof(pf_real *), "training", error);
    p->q_maps = pf_calloc((size_t)p->n_threads * p->G, sizeof *p->q_maps, "training", error);
    p->team = pf_team_new(p->n_threads, error);
    p->memory = p->layers && p->scratch && p->q_maps && p->team
                    ? pf_calloc(floats, sizeof(float), "the activations of a batch", error)
                    : NULL;
    if (!p->memory) {
        pf_train_pass_free(p);
        return NULL;
    }
    lay_out(p, p->memory);
    set_angles(p);
    return p;
}

void pf_train_pass_free(pf_train_pass *p) {
    if (!p) return;
    pf_team_free(p->team);
    pf_free(p->layers);
    pf_free(p->scratch);
    pf_free(p->q_maps);
    pf_free(p->teacher_memory);
    pf_free(p->memory);
    pf_free(p);
}

pf_real *pf_train_pass_omega(pf_train_pass *p, size_t layer, size_t kv_head) {
    return p->omega + (layer * p->KV + kv_head) * p->m * p->D;
}

pf_team *pf_train_pass_team(pf_train_pass *p) { return p->team; }

static size_t lay_out_teacher(pf_train_pass *p, pf_real *memory) {
    pf_carve carve = {.memory = (float *)(void *)memory};
    p->teacher = pf_carve_reals(&carve, p->batch * p->tokens * p->C);
    p->teacher_logits = pf_carve_reals(&carve, p->logit_rows * p->V);
    p->teacher_scratch = pf_carve_reals(&carve, (size_t)p->n_threads * p->V);
    return carve.used;
}

bool pf_train_pass_prepare_teacher(pf_train_pass *p, pf_error *error) {
    p->teacher_memory =
        pf_calloc(lay_out_teacher(p, NULL), sizeof(float), "a teacher's predictions", error);
    if (p->teacher_memory) lay_out_teacher(p, p->teacher_memory);
    return p->teacher_memory != NULL;
}

size_t pf_train_teacher_bytes(const pf_model *model, size_t batch, size_t tokens, int n_threads) {
    pf_train_pass p;
    pf_attention_options softmax = pf_attention_options_default();
    set_sizes(&p, model, &softmax, batch, tokens, n_threads);
    return lay_out_teacher(&p, NULL) * sizeof(float);
}

static void work(void *context, pf_member me) {
    pf_train_pass *p = context;
    pf_train_forward(p, me);
    if (p->gradient) pf_train_backward(p, me);
}

static void run(pf_train_pass *p, const pf_train_weights *weights, const pf_train_weights *gradient,
                pf_train_batch batch) {
    p->w = weights;
    p->gradient = gradient;
    p->now = batch;
    p->N = batch.batch * batch.tokens;
    p->block = block_of(p->N);
    p->n_blocks = (p->N + p->block - 1) / p->block;
    pf_team_run(p->team, work, p);
}

void pf_train_pass_teach(pf_train_pass *p, const pf_train_weights *teacher, pf_train_batch batch) {
    p->teaching = true;
    run(p, teacher, NULL, batch);
    p->teaching = false;
}

double pf_train_pass_run(pf_train_pass *p, const pf_train_weights *weights,
                         const pf_train_weights *gradient, pf_train_batch batch) {
    double sum = 0;
    run(p, weights, gradient, batch);
    for (size_t i = 0; i < p->N; i++) sum += (double)p->losses[i];
    return sum;
}
