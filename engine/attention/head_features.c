/* floor 1.9 - which features a head uses: drawn, stored in the checkpoint, or fitted. */
#include "head_features.h"

#include "memory.h"
#include "projection.h"

#include <math.h>
#include <string.h>

static const float RELU_EPSILON = 1e-3f; /* Choromanski et al. 2020, app. B */

static bool is_exponential(pf_map_kind map) {
    return map == PF_MAP_POSITIVE || map == PF_MAP_HYPERBOLIC || map == PF_MAP_FAVOR_PP;
}

static const pf_favor_weights *weights_of(const pf_attention_config *c, uint32_t layer) {
    return &c->model->layers[layer].favor;
}

static bool is_calibrated(const pf_attention_config *c, uint32_t layer) {
    return !c->options.uncalibrated && weights_of(c, layer)->q_center &&
           c->options.map != PF_MAP_NORMALIZED;
}

/* A stored projection is used for the map and the number of features that it was stored for, as
 * long as nothing asks for another draw. */
static bool uses_stored(const pf_attention_config *c, uint32_t layer, size_t M) {
    const pf_attention_options *options = &c->options;
    const pf_favor_weights *weights = weights_of(c, layer);
    return !options->uncalibrated && weights->projection && !c->fresh_projections &&
           options->redraw == PF_REDRAW_NEVER && options->map != PF_MAP_NORMALIZED &&
           options->map != PF_MAP_ELU &&
           pf_map_projections(options->map, M) == weights->projection_features;
}

size_t pf_head_n_tails(const pf_attention_config *c, uint32_t layer) {
    const pf_model *model = c->model;
    bool own = uses_stored(c, layer, c->options.features) &&
               weights_of(c, layer)->n_projections == model->n_heads &&
               model->n_heads != model->n_kv_heads;
    return own ? pf_attention_group(c) : 1;
}

/* Centring, balancing and the exact weights of keys, for one side (docs/favor.md, "Pretrained
 * models: calibration"). */
static void calibrate_side(pf_features *side, const pf_favor_weights *weights, uint32_t kv_head,
                           bool is_query) {
    size_t D = side->D;
    const float *a = weights->q_center + kv_head * D, *b = weights->k_center + kv_head * D;
    const float *map = is_query ? weights->q_map : weights->k_map;
    side->center = is_query ? a : b;
    side->transform = map ? map + kv_head * D * D : NULL;
    /* q.k = (q-a).(k-b) + q.b + a.(k-b): a query's q.b, a key's a.k - a.b */
    side->tilt = is_query ? b : a;
    side->tilt_constant = 0;
    if (!is_query)
        for (size_t d = 0; d < D; d++) side->tilt_constant -= a[d] * b[d];
}

static bool check_options(const pf_attention_config *c, uint32_t layer, uint32_t M,
                          pf_error *error) {
    const pf_attention_options *options = &c->options;
    const pf_favor_weights *weights = weights_of(c, layer);
    if (options->map == PF_MAP_NORMALIZED && (!weights->q_weight || weights->fitted_features < M))
        return pf_fail(
            error,
            "map normalized needs features fitted to the model, and layer %u has %u of the "
            "%u asked for: run `performer calibrate` first, or choose another --map",
            layer, weights->q_weight ? weights->fitted_features : 0, M);
    if (options->epsilon > 0 && !is_exponential(options->map) && options->map != PF_MAP_RELU)
        return pf_fail(error,
                       "--epsilon has no meaning for map %s: leave it out, or use positive, "
                       "hyperbolic, favor++ or relu",
                       pf_map_name(options->map));
    return true;
}

/* Allocates G features of queries, n_tails of keys, and projections for `sets` of them. */
static bool allocate(pf_head_features *features, size_t sets, size_t m, size_t D, pf_error *error) {
    size_t G = features->G, n_tails = features->n_tails;
    features->memory_floats = sets * m * (D + 1);
    features->q = pf_calloc(G, sizeof *features->q, "random features", error);
    features->k = pf_calloc(n_tails, sizeof *features->k, "random features", error);
    features->memory = pf_calloc(features->memory_floats, sizeof(float), "random features", error);
    if (features->q && features->k && features->memory) return true;
    pf_head_features_free(features);
    return false;
}

/* What all features of a head have in common. */
static pf_features common_features(const pf_attention_config *c, uint32_t M, float tail_epsilon) {
    return (pf_features){.map = c->options.map,
                         .D = c->model->head_dim,
                         .M = M,
                         .input_scale = sqrtf(c->model->attention_scale),
                         .norm_inside = tail_epsilon > 0};
}

static float epsilon_of(const pf_attention_options *options, bool is_query, float tail_epsilon) {
    if (options->map == PF_MAP_RELU) return options->epsilon > 0 ? options->epsilon : RELU_EPSILON;
    return is_query ? tail_epsilon : 0; /* the keys' is added in the tail */
}

/* The fitted rows of query head or KV head `head`: M of them, then the row u. */
static void copy_fitted(const pf_favor_weights *weights, bool is_query, size_t head, size_t M,
                        size_t D, float *omega, float *bias) {
    size_t fitted_M = weights->fitted_features;
    const float *w = is_query ? weights->q_weight : weights->k_weight;
    const float *b = is_query ? weights->q_bias : weights->k_bias;
    w += head * (fitted_M + 1) * D;
    b += head * (fitted_M + 1);
    memcpy(omega, w, M * D * sizeof *omega);
    memcpy(bias, b, M * sizeof *bias);
    memcpy(omega + M * D, w + fitted_M * D, D * sizeof *omega);
    bias[M] = b[fitted_M];
}

bool pf_head_features_new(pf_head_features *features, const pf_attention_config *c, uint32_t layer,
                          uint32_t kv_head, uint32_t M, pf_error *error) {
    const pf_attention_options *options = &c->options;
    const pf_favor_weights *weights = weights_of(c, layer);
    size_t D = c->model->head_dim, G = pf_attention_group(c);
    size_t n_tails = pf_head_n_tails(c, layer), m = pf_map_projections(options->map, M);
    bool fitted = options->map == PF_MAP_NORMALIZED, calibrated = is_calibrated(c, layer);
    *features = (pf_head_features){.G = G, .n_tails = n_tails};
    if (!check_options(c, layer, M, error)) return false;
    /* fitted: one set of rows for each query head, one for the keys; drawn: one for each tail */
    if (!allocate(features, fitted ? G + 1 : n_tails, m, D, error)) return false;
    features->tail_epsilon = is_exponential(options->map) ? options->epsilon : 0;
    bool biased = fitted || options->map == PF_MAP_TRIG_OFFSET ||
                  (options->map == PF_MAP_FAVOR_PP && calibrated);
    for (size_t i = 0; i < G + n_tails; i++) {
        bool is_query = i < G;
        pf_features *f = is_query ? &features->q[i] : &features->k[i - G];
        size_t set = fitted ? i : is_query ? i * n_tails / G : i - G;
        float *omega = features->memory + set * m * (D + 1), *bias = omega + m * D;
        *f = common_features(c, M, features->tail_epsilon);
        f->epsilon = epsilon_of(options, is_query, features->tail_epsilon);
        f->omega = omega;
        f->bias = biased ? bias : NULL;
        if (calibrated) calibrate_side(f, weights, kv_head, is_query);
        if (fitted)
            copy_fitted(weights, is_query, is_query ? kv_head * G + i : kv_head, M, D, omega, bias);
    }
    return true;
}

void pf_head_features_free(pf_head_features *features) {
    pf_free(features->q);
    pf_free(features->k);
    pf_free(features->memory);
    *features = (pf_head_features){0};
}

/* The stored rows that tail number `tail` of this KV head uses. */
static const float *stored_projection(const pf_attention_config *c, uint32_t layer,
                                      uint32_t kv_head, size_t tail) {
    const pf_favor_weights *weights = weights_of(c, layer);
    size_t index = 0;
    if (weights->n_projections == c->model->n_kv_heads)
        index = kv_head;
    else if (weights->n_projections == c->model->n_heads)
        index = kv_head * pf_attention_group(c) + tail;
    return weights->projection + index * weights->projection_features * c->model->head_dim;
}

void pf_head_features_draw(pf_head_features *features, const pf_attention_config *c, uint32_t layer,
                           uint32_t kv_head, uint32_t draw, double *scratch) {
    const pf_attention_options *options = &c->options;
    const pf_favor_weights *weights = weights_of(c, layer);
    size_t D = c->model->head_dim, M = features->k[0].M, m = pf_map_projections(options->map, M);
    if (options->map == PF_MAP_NORMALIZED || m == 0) return;
    for (size_t tail = 0; tail < features->n_tails; tail++) {
        float *omega = features->memory + tail * m * (D + 1), *bias = omega + m * D;
        uint64_t stream = (uint64_t)layer * c->model->n_heads + kv_head * features->G + tail;
        pf_rng rng;
        pf_rng_seed(&rng, options->seed, stream << 32 | draw);
        if (uses_stored(c, layer, M))
            memcpy(omega, stored_projection(c, layer, kv_head, tail), m * D * sizeof *omega);
        else
            pf_projection_draw(&rng, options->projection, m, D, omega, scratch);
        if (options->map == PF_MAP_FAVOR_PP && is_calibrated(c, layer))
            pf_projection_propose(m, D, weights->proposal ? weights->proposal + kv_head * D : NULL,
                                  omega, bias);
        if (options->map == PF_MAP_TRIG_OFFSET)
            for (size_t r = 0; r < m; r++)
                bias[r] = (float)(2 * 3.14159265358979323846 * pf_rng_uniform(&rng));
    }
}

void pf_head_features_copy(pf_head_features *to, const pf_head_features *from) {
    memcpy(to->memory, from->memory, from->memory_floats * sizeof *to->memory);
}
