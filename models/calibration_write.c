/* floor 4.7 - calibration write: a calibration -> keys and tensors of a checkpoint. */
#include "calibration_write.h"

#include "convert.h"

#include <stdio.h>
#include <string.h>

static bool is_ours(const char *name) {
    return strncmp(name, "performer.", 10) == 0 || strstr(name, ".favor.");
}

static bool copy_source(const pf_checkpoint *source, pf_checkpoint *out, pf_error *error) {
    for (size_t i = 0; i < pf_checkpoint_n_meta(source); i++) {
        const pf_meta *meta = pf_checkpoint_meta(source, i);
        if (!is_ours(meta->key) &&
            !pf_checkpoint_put_meta(out, meta->key, strlen(meta->key), *meta, error))
            return false;
    }
    for (size_t i = 0; i < pf_checkpoint_n_tensors(source); i++) {
        const pf_tensor *t = pf_checkpoint_tensor(source, i);
        if (!is_ours(t->name) && !pf_checkpoint_share_tensor(out, t->name, t, error)) return false;
    }
    return true;
}

static bool add_keys(const pf_calibration *c, pf_checkpoint *out, pf_error *error) {
    size_t n = (size_t)c->n_layers * c->n_kv_heads;
    if (!pf_attention_to_checkpoint(&c->attention, out, error) ||
        !pf_checkpoint_set_bool(out, "performer.tail_rope", c->tail_rope, error))
        return false;
    if (!c->per_head) return true;
    if (!pf_checkpoint_set_array(out, "performer.windows", PF_META_U32, c->windows, n, error))
        return false;
    return c->attention.kind != PF_ATTENTION_FAVOR ||
           pf_checkpoint_set_array(out, "performer.head_features", PF_META_U32, c->head_features, n,
                                   error);
}

/* Adds blk.N.favor.NAME: float32, shape {a, b, e}, or {a, b} if e is 0. */
static bool add(pf_checkpoint *out, size_t layer, const char *name, uint64_t a, uint64_t b,
                uint64_t e, const float *values, pf_error *error) {
    char full[64];
    snprintf(full, sizeof full, "blk.%zu.favor.%s", layer, name);
    uint64_t shape[] = {a, b, e};
    return pf_checkpoint_add_tensor(out, full, PF_F32, e > 0 ? 3 : 2, shape, values,
                                    (size_t)(a * b * (e > 0 ? e : 1)) * sizeof *values, error);
}

static bool add_layer(const pf_calibration *c, const pf_model *model, size_t layer,
                      pf_checkpoint *out, pf_error *error) {
    const pf_favor_weights *f = &c->layers[layer].favor;
    uint64_t D = model->head_dim, KV = model->n_kv_heads, H = model->n_heads;
    uint64_t rows = f->fitted_features + 1;
    if (!f->q_center) return true; /* a sliding layer */
    return add(out, layer, "q_center", D, KV, 0, f->q_center, error) &&
           add(out, layer, "k_center", D, KV, 0, f->k_center, error) &&
           add(out, layer, "proposal", D, KV, 0, f->proposal, error) &&
           add(out, layer, "q_map", D, D, KV, f->q_map, error) &&
           add(out, layer, "k_map", D, D, KV, f->k_map, error) &&
           (!f->q_weight || (add(out, layer, "q.weight", D, rows, H, f->q_weight, error) &&
                             add(out, layer, "q.bias", rows, H, 0, f->q_bias, error) &&
                             add(out, layer, "k.weight", D, rows, KV, f->k_weight, error) &&
                             add(out, layer, "k.bias", rows, KV, 0, f->k_bias, error)));
}

pf_checkpoint *pf_calibration_to_checkpoint(const pf_calibration *calibration,
                                            const pf_model *model, const pf_checkpoint *source,
                                            pf_error *error) {
    pf_checkpoint *out = pf_checkpoint_new(pf_checkpoint_path(source), error);
    bool good = out && copy_source(source, out, error) && add_keys(calibration, out, error);
    for (size_t layer = 0; good && layer < calibration->n_layers; layer++)
        good = add_layer(calibration, model, layer, out, error);
    if (good) return out;
    pf_checkpoint_free(out);
    return NULL;
}
