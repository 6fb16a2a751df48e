/* floor 4.7 - distilled write: what was distilled -> a checkpoint, and an adapter. */
#include "distilled_write.h"

#include "lora_write.h"
#include "memory.h"
#include "quant.h"
#include "trained_write.h"

#include <stdio.h>
#include <string.h>

/* ---- matrices ---- */

static bool is_of_attention(const char *name) {
    static const char *const parts[] = {".attn_q.weight", ".attn_k.weight", ".attn_v.weight",
                                        ".attn_qkv.weight", ".attn_output.weight"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

static bool make_matrix(const void *context, const pf_tensor *t, void *out, pf_error *error) {
    const float *weights = context;
    size_t cols = (size_t)t->shape[0], bytes = pf_row_bytes(t->type, cols);
    (void)error;
    for (size_t r = 0; r < t->shape[1]; r++)
        pf_quantize_row(t->type, weights + r * cols, (char *)out + r * bytes, cols);
    return true;
}

static bool add_matrix(const pf_tensor *t, const float *weights, pf_checkpoint *out,
                       pf_error *error) {
    pf_type type = t->type == PF_F32 ? PF_F32 : PF_F16;
    size_t bytes = pf_row_bytes(type, (size_t)t->shape[0]) * (size_t)t->shape[1];
    return pf_checkpoint_add_made_tensor(out, t->name, type, t->n_dims, t->shape, bytes,
                                         make_matrix, weights, error);
}

/* ---- features ---- */

/* "blk.N.favor.q.weight", ... of a fitted map. */
static bool is_fitted(const pf_tensor *t, unsigned *layer, char *side, bool *bias) {
    char kind[8];
    if (sscanf(t->name, "blk.%u.favor.%c.%7s", layer, side, kind) != 3) return false;
    *bias = strcmp(kind, "bias") == 0;
    return (*side == 'q' || *side == 'k') && (*bias || strcmp(kind, "weight") == 0);
}

/* The tensor as it was, with the learned rows. */
static bool add_features(const pf_distill *d, const pf_tensor *t, unsigned layer, bool query,
                         bool is_bias, pf_checkpoint *out, pf_error *error) {
    const pf_favor_weights *f = &d->model->layers[layer].favor;
    size_t heads = query ? d->model->n_heads : d->model->n_kv_heads, D = d->model->head_dim;
    size_t rows = heads * (f->fitted_features + 1), n = is_bias ? rows : rows * D;
    float *kept = pf_checkpoint_alloc(out, n * sizeof *kept, t->name, error);
    if (!kept) return false;
    const float *weight = query ? f->q_weight : f->k_weight;
    memcpy(kept, !is_bias ? weight : query ? f->q_bias : f->k_bias, n * sizeof *kept);
    pf_train_fitted_write(&d->attention, d->learner.fitted, layer, query, is_bias ? NULL : kept,
                          is_bias ? kept : NULL);
    return pf_checkpoint_add_tensor(out, t->name, PF_F32, t->n_dims, t->shape, kept,
                                    n * sizeof *kept, error);
}

/* ---- the checkpoint ---- */

static bool add_tensor(const pf_distill *d, const pf_tensor *t, bool merged, pf_checkpoint *out,
                       pf_error *error) {
    unsigned layer;
    char side;
    bool bias;
    if (is_fitted(t, &layer, &side, &bias) && layer < d->model->n_layers)
        return add_features(d, t, layer, side == 'q', bias, out, error);
    if (merged && is_of_attention(t->name))
        return add_matrix(t, pf_trained_weights_of(&d->learner, d->model, t), out, error);
    return pf_checkpoint_share_tensor(out, t->name, t, error);
}

pf_checkpoint *pf_distilled_to_checkpoint(const pf_trainer *trainer, const pf_checkpoint *source,
                                          bool merged, pf_error *error) {
    const pf_distill *d = pf_trainer_distill(trainer);
    pf_checkpoint *out = pf_checkpoint_new(pf_checkpoint_path(source), error);
    bool good = out != NULL;
    for (size_t i = 0; good && i < pf_checkpoint_n_meta(source); i++) {
        const pf_meta *meta = pf_checkpoint_meta(source, i);
        good = pf_checkpoint_put_meta(out, meta->key, strlen(meta->key), *meta, error);
    }
    for (size_t i = 0; good && i < pf_checkpoint_n_tensors(source); i++)
        good = add_tensor(d, pf_checkpoint_tensor(source, i), merged, out, error);
    if (good) return out;
    pf_checkpoint_free(out);
    return NULL;
}

/* ---- the adapter ---- */

bool pf_distilled_write_adapter(const pf_trainer *trainer, const char *path, pf_error *error) {
    static const char *const parts[PF_LORA_PARTS] = {"attn_q", "attn_k", "attn_v", "attn_output"};
    enum { NAME = 48 };
    const pf_distill *d = pf_trainer_distill(trainer);
    size_t n = (size_t)d->model->n_layers * PF_LORA_PARTS;
    pf_lora_matrix *matrices = pf_calloc(n, sizeof *matrices, "the adapter", error);
    char *names = pf_calloc(n, NAME, "the adapter", error);
    for (size_t i = 0; matrices && names && i < n; i++) {
        const pf_train_lora_pair *p = &d->lora.pairs[i];
        char *name = names + i * NAME;
        snprintf(name, NAME, "blk.%zu.%s.weight", i / PF_LORA_PARTS, parts[i % PF_LORA_PARTS]);
        matrices[i] = (pf_lora_matrix){name, p->out, p->in, d->lora.rank, p->a, p->b};
    }
    float alpha = (float)d->lora.rank * d->lora.scale;
    bool good =
        matrices && names && pf_lora_write(path, d->model->family, alpha, matrices, n, error);
    pf_free(matrices);
    pf_free(names);
    return good;
}
