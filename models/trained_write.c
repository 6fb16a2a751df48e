/* floor 4.6 - trained write: a trainer's weights -> keys and tensors of a checkpoint. */
#include "trained_write.h"

#include "attention_metadata.h"

#include <stdio.h>
#include <string.h>

/* Keys and tensors of an earlier training or calibration, which no longer hold. */
static bool is_stale(const char *name) {
    bool tokenizer = strncmp(name, "performer.tokenizer.", 20) == 0;
    return (strncmp(name, "performer.", 10) == 0 && !tokenizer) || strstr(name, ".favor.");
}

/* Where the trainer has the weights of tensor NAME of a layer: "blk.N.NAME.weight". */
static const float *layer_weights(const pf_train_layer *l, const pf_model *m, const char *name) {
    size_t C = m->width, q = (size_t)m->n_heads * m->head_dim * C;
    size_t k = (size_t)m->n_kv_heads * m->head_dim * C;
    const struct {
        const char *name;
        const float *weights;
    } parts[] = {
        {"attn_norm", l->attention_norm},
        {"attn_q", l->qkv},
        {"attn_k", l->qkv + q},
        {"attn_v", l->qkv + q + k},
        {"attn_qkv", l->qkv},
        {"attn_output", l->output},
        {"ffn_norm", l->mlp_norm},
        {"ffn_gate", l->gate_up},
        {"ffn_up", l->gate_up + m->hidden * C},
        {"ffn_down", l->down},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(name, parts[i].name) == 0) return parts[i].weights;
    return NULL;
}

const float *pf_trained_weights_of(const pf_train_weights *w, const pf_model *m,
                                   const pf_tensor *t) {
    unsigned layer;
    char name[64], rest[64];
    if (strcmp(t->name, "token_embd.weight") == 0) return w->embedding;
    if (strcmp(t->name, "output.weight") == 0) return w->logits;
    if (strcmp(t->name, "output_norm.weight") == 0) return w->final_norm;
    if (sscanf(t->name, "blk.%u.%63[^.].%63s", &layer, name, rest) != 3 || layer >= m->n_layers ||
        strcmp(rest, "weight") != 0)
        return NULL;
    /* phi3: one tensor with the rows of gate, then up */
    if (strcmp(name, "ffn_up") == 0 && t->shape[1] == 2 * (uint64_t)m->hidden)
        return w->layers[layer].gate_up;
    return layer_weights(&w->layers[layer], m, name);
}

static bool add_tensor(const pf_train_weights *w, const pf_model *model, const pf_tensor *t,
                       pf_checkpoint *out, pf_error *error) {
    const float *weights = pf_trained_weights_of(w, model, t);
    size_t n = (size_t)(t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3]);
    if (weights)
        return pf_checkpoint_add_tensor(out, t->name, PF_F32, t->n_dims, t->shape, weights,
                                        n * sizeof *weights, error);
    return pf_checkpoint_share_tensor(out, t->name, t, error);
}

static bool copy(const pf_train_weights *w, const pf_model *model, const pf_checkpoint *source,
                 pf_checkpoint *out, pf_error *error) {
    for (size_t i = 0; i < pf_checkpoint_n_meta(source); i++) {
        const pf_meta *meta = pf_checkpoint_meta(source, i);
        if (!is_stale(meta->key) &&
            !pf_checkpoint_put_meta(out, meta->key, strlen(meta->key), *meta, error))
            return false;
    }
    for (size_t i = 0; i < pf_checkpoint_n_tensors(source); i++) {
        const pf_tensor *t = pf_checkpoint_tensor(source, i);
        if (!is_stale(t->name) && !add_tensor(w, model, t, out, error)) return false;
    }
    return true;
}

static bool add_projections(const pf_trainer *trainer, const pf_model *model, pf_checkpoint *out,
                            pf_error *error) {
    size_t m, D = model->head_dim, KV = model->n_kv_heads;
    pf_trainer_omega(trainer, 0, 0, &m);
    for (uint32_t i = 0; m > 0 && i < model->n_layers; i++) {
        char name[64];
        uint64_t shape[] = {D, m, KV};
        snprintf(name, sizeof name, "blk.%u.favor.projection", i);
        if (!pf_checkpoint_add_tensor(out, name, PF_F32, 3, shape,
                                      pf_trainer_omega(trainer, i, 0, &m),
                                      D * m * KV * sizeof(float), error))
            return false;
    }
    return true;
}

/* The type of most weights, for programs that show it: 0 is F32. */
static bool set_file_type(pf_checkpoint *out, pf_error *error) {
    return pf_checkpoint_set_u32(out, "general.file_type", 0, error);
}

pf_checkpoint *pf_trained_to_checkpoint(pf_trainer *trainer, const pf_model *model,
                                        const pf_attention_options *attention,
                                        const pf_checkpoint *source, pf_error *error) {
    pf_checkpoint *out = pf_checkpoint_new(pf_checkpoint_path(source), error);
    bool good = out && copy(&pf_trainer_state(trainer)->weights, model, source, out, error) &&
                set_file_type(out, error) && pf_attention_to_checkpoint(attention, out, error) &&
                add_projections(trainer, model, out, error);
    if (good) return out;
    pf_checkpoint_free(out);
    return NULL;
}
