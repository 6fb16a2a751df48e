/* floor 4.1 - attention metadata: how a checkpoint's model attends, read and written. */
#include "attention_metadata.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY(name) "performer." name
#define MAX_FEATURES (1u << 20) /* per head: far more than is ever useful */

/* ---- reading keys ---- */

/* parse(name, value) with an untyped value, so that get_choice can call any of the three. */
#define PARSE_INTO(parse, type)                                                                    \
    static bool parse##_into(const char *name, void *value) { return parse(name, (type *)value); }
PARSE_INTO(pf_attention_parse, pf_attention_kind)
PARSE_INTO(pf_map_parse, pf_map_kind)
PARSE_INTO(pf_projection_parse, pf_projection_kind)

static bool get_choice(const pf_checkpoint *checkpoint, const char *key,
                       bool (*parse)(const char *name, void *value), void *value, pf_error *error) {
    pf_text text = {NULL, 0};
    char name[32] = "";
    if (!pf_checkpoint_get_text(checkpoint, key, &text, error)) return false;
    if (!text.bytes) return true;
    if (text.size < sizeof name) memcpy(name, text.bytes, text.size);
    if (text.size < sizeof name && strlen(name) == text.size && parse(name, value)) return true;
    return pf_fail(error, "the metadata key %s is \"%.*s\", which is not a known value", key,
                   (int)(text.size < 40 ? text.size : 40), text.bytes);
}

static bool read_options(const pf_checkpoint *checkpoint, pf_attention_options *o,
                         pf_error *error) {
    if (!get_choice(checkpoint, KEY("attention"), pf_attention_parse_into, &o->kind, error) ||
        !get_choice(checkpoint, KEY("map"), pf_map_parse_into, &o->map, error) ||
        !get_choice(checkpoint, KEY("projection"), pf_projection_parse_into, &o->projection,
                    error) ||
        !pf_checkpoint_get_u32(checkpoint, KEY("features"), &o->features, error) ||
        !pf_checkpoint_get_f32(checkpoint, KEY("epsilon"), &o->epsilon, error) ||
        !pf_checkpoint_get_u64(checkpoint, KEY("seed"), &o->seed, error) ||
        !pf_checkpoint_get_u32(checkpoint, KEY("window"), &o->window, error) ||
        !pf_checkpoint_get_u32(checkpoint, KEY("forget"), &o->forget, error) ||
        !pf_checkpoint_get_u32(checkpoint, KEY("sinks"), &o->sinks, error))
        return false;
    if (o->features == 0 || o->features > MAX_FEATURES)
        return pf_fail(error, "performer.features is %u, but should be 1 to %u", o->features,
                       MAX_FEATURES);
    if (!(o->epsilon >= 0) || !isfinite(o->epsilon))
        return pf_fail(error, "performer.epsilon is %g, but should be a finite number, 0 or above",
                       (double)o->epsilon);
    return true;
}

/* *heads = an aligned copy of the array [n_layers, n_kv_heads], or NULL if the key is absent. */
static bool read_per_head(pf_checkpoint *checkpoint, const char *key, const pf_model *model,
                          const uint32_t **heads, pf_error *error) {
    const void *values = NULL;
    size_t count = 0, expected = (size_t)model->n_layers * model->n_kv_heads;
    *heads = NULL;
    if (!pf_checkpoint_get_array(checkpoint, key, PF_META_U32, &values, &count, error))
        return false;
    if (!values) return true;
    if (count != expected)
        return pf_fail(error, "%s has %zu numbers, but %u layers of %u KV heads need %zu", key,
                       count, model->n_layers, model->n_kv_heads, expected);
    uint32_t *copy = pf_checkpoint_alloc(checkpoint, count * sizeof *copy, key, error);
    if (!copy) return false;
    memcpy(copy, values, count * sizeof *copy);
    *heads = copy;
    return true;
}

/* ---- tensors ---- */

typedef struct {
    pf_binder *binder;
    const pf_model *model;
    uint32_t layer;
    pf_error *error;
} place;

static const pf_tensor *find(const place *p, const char *name, char *full, size_t size) {
    snprintf(full, size, "blk.%u.favor.%s", p->layer, name);
    return pf_bind_find(p->binder, full);
}

/* Leaves *values as it is if there is no such tensor. A last axis of 1 may be missing in the
 * file. */
static bool bind(const place *p, const char *name, uint32_t n_dims, const uint64_t *shape,
                 const float **values) {
    char full[64];
    if (!find(p, name, full, sizeof full)) return true;
    return pf_bind_floats(p->binder, full, n_dims, shape, values, p->error);
}

/* Binds both or neither: one without the other would silently mean something else. */
static bool bind_pair(const place *p, const char *q_name, const char *k_name, uint32_t n_dims,
                      const uint64_t *shape, const float **q, const float **k) {
    if (!bind(p, q_name, n_dims, shape, q) || !bind(p, k_name, n_dims, shape, k)) return false;
    if (!*q != !*k)
        return pf_fail(p->error, "the tensor blk.%u.favor.%s is there, but not its partner %s",
                       p->layer, *q ? q_name : k_name, *q ? k_name : q_name);
    return true;
}

static bool bind_projection(const place *p, pf_favor_weights *favor) {
    char full[64];
    const pf_tensor *tensor = find(p, "projection", full, sizeof full);
    if (!tensor) return true;
    uint64_t M = tensor->shape[1], n = tensor->shape[2];
    if (M > MAX_FEATURES)
        return pf_fail(p->error, "%s has more than %u features", full, MAX_FEATURES);
    if (n != 1 && n != p->model->n_kv_heads && n != p->model->n_heads)
        return pf_fail(p->error,
                       "%s has projections for %llu heads, but should have 1 for the whole layer, "
                       "or one for each of its %u KV heads or %u query heads",
                       full, (unsigned long long)n, p->model->n_kv_heads, p->model->n_heads);
    favor->projection_features = (uint32_t)M;
    favor->n_projections = (uint32_t)n;
    return bind(p, "projection", 3, (uint64_t[]){p->model->head_dim, M, n}, &favor->projection);
}

static bool bind_calibration(const place *p, pf_favor_weights *favor) {
    uint64_t D = p->model->head_dim, KV = p->model->n_kv_heads;
    uint64_t per_dim[] = {D, KV}, square[] = {D, D, KV};
    if (!bind_pair(p, "q_center", "k_center", 2, per_dim, &favor->q_center, &favor->k_center) ||
        !bind_pair(p, "q_map", "k_map", 3, square, &favor->q_map, &favor->k_map) ||
        !bind(p, "proposal", 2, per_dim, &favor->proposal))
        return false;
    if (favor->q_map && !favor->q_center)
        return pf_fail(p->error, "the tensor blk.%u.favor.q_map is there, but q_center is missing",
                       p->layer);
    return true;
}

/* The tensors of the map `normalized`. Each head has M rows w and then one row u, with a bias per
 * row. */
static bool bind_fitted(const place *p, pf_favor_weights *favor) {
    char full[64];
    uint64_t D = p->model->head_dim, H = p->model->n_heads, KV = p->model->n_kv_heads;
    const pf_tensor *tensor = find(p, "q.weight", full, sizeof full);
    uint64_t rows = tensor ? tensor->shape[1] : 2;
    if (rows < 2 || rows > MAX_FEATURES)
        return pf_fail(p->error, "%s has %llu rows, but should have 2 to %u", full,
                       (unsigned long long)rows, MAX_FEATURES);
    if (!bind(p, "q.weight", 3, (uint64_t[]){D, rows, H}, &favor->q_weight) ||
        !bind(p, "q.bias", 2, (uint64_t[]){rows, H}, &favor->q_bias) ||
        !bind(p, "k.weight", 3, (uint64_t[]){D, rows, KV}, &favor->k_weight) ||
        !bind(p, "k.bias", 2, (uint64_t[]){rows, KV}, &favor->k_bias))
        return false;
    int found = !!favor->q_weight + !!favor->q_bias + !!favor->k_weight + !!favor->k_bias;
    if (found != 0 && found != 4)
        return pf_fail(p->error,
                       "only %d of the 4 tensors blk.%u.favor.{q,k}.{weight,bias} are there", found,
                       p->layer);
    favor->fitted_features = found ? (uint32_t)rows - 1 : 0;
    return true;
}

/* The largest number of features that any head of the layer uses. */
static uint32_t layer_features(const pf_model *model, uint32_t layer) {
    if (model->layers[layer].window > 0) return 0; /* a sliding layer has no tail */
    if (!model->head_features) return model->attention.features;
    uint32_t most = 0;
    const uint32_t *heads = model->head_features + (size_t)layer * model->n_kv_heads;
    for (uint32_t h = 0; h < model->n_kv_heads; h++) most = heads[h] > most ? heads[h] : most;
    return most;
}

static bool check_layer(const place *p, const pf_favor_weights *favor) {
    uint32_t wanted = layer_features(p->model, p->layer);
    if (wanted > MAX_FEATURES)
        return pf_fail(p->error,
                       "performer.head_features asks for %u features; at most %u are supported",
                       wanted, MAX_FEATURES);
    if (p->model->attention.kind == PF_ATTENTION_FAVOR &&
        p->model->attention.map == PF_MAP_NORMALIZED && favor->fitted_features < wanted)
        return pf_fail(p->error,
                       "performer.map is normalized with %u features in layer %u, but "
                       "blk.%u.favor.q.weight has %u",
                       wanted, p->layer, p->layer, favor->fitted_features);
    return true;
}

bool pf_attention_bind(pf_binder *binder, pf_model *model, pf_layer *layers, pf_error *error) {
    pf_checkpoint *checkpoint = binder->checkpoint;
    model->attention = pf_attention_options_default();
    model->tail_rope = true;
    if (!read_options(checkpoint, &model->attention, error) ||
        !read_per_head(checkpoint, KEY("windows"), model, &model->windows, error) ||
        !read_per_head(checkpoint, KEY("head_features"), model, &model->head_features, error) ||
        !pf_checkpoint_get_bool(checkpoint, KEY("tail_rope"), &model->tail_rope, error))
        return false;
    for (uint32_t i = 0; i < model->n_layers; i++) {
        place p = {binder, model, i, error};
        pf_favor_weights *favor = &layers[i].favor;
        if (!bind_projection(&p, favor) || !bind_calibration(&p, favor) ||
            !bind_fitted(&p, favor) || !check_layer(&p, favor))
            return false;
    }
    return true;
}

/* ---- writing ---- */

static bool set_name(pf_checkpoint *checkpoint, const char *key, const char *name,
                     pf_error *error) {
    return pf_checkpoint_set_text(checkpoint, key, name, strlen(name), error);
}

bool pf_attention_to_checkpoint(const pf_attention_options *attention, pf_checkpoint *checkpoint,
                                pf_error *error) {
    if (!set_name(checkpoint, KEY("attention"), pf_attention_name(attention->kind), error))
        return false;
    if (attention->kind == PF_ATTENTION_SOFTMAX) return true;
    if (!pf_checkpoint_set_u32(checkpoint, KEY("window"), attention->window, error) ||
        !pf_checkpoint_set_u32(checkpoint, KEY("sinks"), attention->sinks, error))
        return false;
    if (attention->kind == PF_ATTENTION_LOCAL) return true;
    if (attention->forget &&
        !pf_checkpoint_set_u32(checkpoint, KEY("forget"), attention->forget, error))
        return false;
    return pf_checkpoint_set_u32(checkpoint, KEY("features"), attention->features, error) &&
           set_name(checkpoint, KEY("map"), pf_map_name(attention->map), error) &&
           set_name(checkpoint, KEY("projection"), pf_projection_name(attention->projection),
                    error) &&
           pf_checkpoint_set_f32(checkpoint, KEY("epsilon"), attention->epsilon, error) &&
           pf_checkpoint_set_u64(checkpoint, KEY("seed"), attention->seed, error);
}
