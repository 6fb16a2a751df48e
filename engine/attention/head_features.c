/* floor 1.9 - which features a head uses: drawn, stored in the checkpoint, or fitted. */
#include "head_features.h"

#include "memory.h"

#include <math.h>
#include <string.h>

static const float RELU_EPSILON = 1e-3f; /* Choromanski et al. 2020, app. B */

static bool is_exponential(pf_map_kind map) {
    return map == PF_MAP_POSITIVE || map == PF_MAP_HYPERBOLIC || map == PF_MAP_FAVOR_PP;
}

static bool is_calibrated(const pf_attention_options *options, const pf_favor_weights *weights) {
    return !options->uncalibrated && weights->q_center && options->map != PF_MAP_NORMALIZED;
}

/* A stored projection serves the map and the number of features that it was stored for, undrawn. */
static bool uses_stored(const pf_attention_options *options, const pf_favor_weights *weights,
                        size_t M) {
    return !options->uncalibrated && weights->projection && options->redraw == PF_REDRAW_NEVER &&
           options->map != PF_MAP_NORMALIZED && options->map != PF_MAP_ELU &&
           pf_map_projections(options->map, M) == weights->projection_features;
}

size_t pf_head_n_tails(const pf_attention_options *options, const pf_favor_weights *weights,
                       pf_head_index place) {
    bool own = uses_stored(options, weights, options->features) &&
               weights->n_projections == place.n_heads && place.n_heads != place.n_kv_heads;
    return own ? place.n_heads / place.n_kv_heads : 1;
}

/* Centring, balancing and the exact weights of keys, for one side (FAVOR.md 1). */
static void calibrate_side(pf_features *side, const pf_favor_weights *weights, uint32_t kv_head,
                           bool is_query) {
    size_t D = side->D;
    const float *a = weights->q_center + kv_head * D, *b = weights->k_center + kv_head * D;
    side->center = is_query ? a : b;
    const float *map = is_query ? weights->q_map : weights->k_map;
    side->transform = map ? map + kv_head * D * D : NULL;
    /* q.k = (q-a).(k-b) + q.b + a.(k-b): a query's q.b, a key's a.k - a.b */
    side->tilt = is_query ? b : a;
    side->tilt_constant = 0;
    if (!is_query)
        for (size_t d = 0; d < D; d++) side->tilt_constant -= a[d] * b[d];
}

static void copy_fitted(float *omega, float *bias, const float *weight, const float *fitted_bias,
                        size_t M, size_t fitted_M, size_t D) {
    memcpy(omega, weight, M * D * sizeof *omega);
    memcpy(bias, fitted_bias, M * sizeof *bias);
    memcpy(omega + M * D, weight + fitted_M * D, D * sizeof *omega);
    bias[M] = fitted_bias[fitted_M];
}

static bool check_options(const pf_attention_options *options, const pf_favor_weights *weights,
                          pf_head_index place, uint32_t M, pf_error *error) {
    if (options->map == PF_MAP_NORMALIZED && (!weights->q_weight || weights->fitted_features < M))
        return pf_fail(
            error,
            "map normalized needs features fitted to the model, and layer %u has %u of the "
            "%u asked for: run `performer calibrate` first, or choose another --map",
            place.layer, weights->q_weight ? weights->fitted_features : 0, M);
    if (options->epsilon > 0 && !is_exponential(options->map) && options->map != PF_MAP_RELU)
        return pf_fail(error,
                       "--epsilon has no meaning for map %s: leave it out, or use positive, "
                       "hyperbolic, favor++ or relu",
                       pf_map_name(options->map));
    return true;
}

bool pf_head_features_new(pf_head_features *features, const pf_attention_options *options,
                          const pf_favor_weights *weights, pf_head_index place, uint32_t M,
                          pf_error *error) {
    *features = (pf_head_features){0};
    if (!check_options(options, weights, place, M, error)) return false;
    size_t D = place.D, G = place.n_heads / place.n_kv_heads;
    size_t m = pf_map_projections(options->map, M);
    bool fitted = options->map == PF_MAP_NORMALIZED;
    size_t n_tails = pf_head_n_tails(options, weights, place);
    size_t sets = fitted ? G + 1 : n_tails;
    features->G = G;
    features->n_tails = n_tails;
    features->q = pf_calloc(G, sizeof *features->q, "random features", error);
    features->k = pf_calloc(n_tails, sizeof *features->k, "random features", error);
    features->memory_floats = sets * m * (D + 1);
    features->memory = pf_calloc(features->memory_floats, sizeof(float), "random features", error);
    if (!features->q || !features->k || !features->memory) {
        pf_head_features_free(features);
        return false;
    }
    bool exponential = is_exponential(options->map);
    features->tail_epsilon = exponential ? options->epsilon : 0;
    float relu_epsilon = options->epsilon > 0 ? options->epsilon : RELU_EPSILON;
    pf_features side = {.map = options->map, .D = D, .M = M};
    side.input_scale = sqrtf(place.attention_scale);
    for (size_t i = 0; i < G + n_tails; i++) {
        bool is_query = i < G;
        pf_features *f = is_query ? &features->q[i] : &features->k[i - G];
        *f = side;
        f->norm_inside = features->tail_epsilon > 0;
        f->epsilon = options->map == PF_MAP_RELU ? relu_epsilon
                     : is_query                  ? features->tail_epsilon
                                                 : 0;
        if (is_calibrated(options, weights)) calibrate_side(f, weights, place.kv_head, is_query);
        size_t set = fitted ? i : is_query ? i * n_tails / G : i - G;
        float *omega = features->memory + set * m * (D + 1), *bias = omega + m * D;
        f->omega = omega;
        bool biased = fitted || options->map == PF_MAP_TRIG_OFFSET ||
                      (options->map == PF_MAP_FAVOR_PP && is_calibrated(options, weights));
        f->bias = biased ? bias : NULL;
        if (fitted) {
            size_t head = is_query ? place.kv_head * G + i : place.kv_head;
            size_t fitted_M = weights->fitted_features;
            const float *w = is_query ? weights->q_weight : weights->k_weight;
            const float *b = is_query ? weights->q_bias : weights->k_bias;
            copy_fitted(omega, bias, w + head * (fitted_M + 1) * D, b + head * (fitted_M + 1), M,
                        fitted_M, D);
        }
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
static const float *stored_projection(const pf_favor_weights *weights, pf_head_index place,
                                      size_t tail, size_t G) {
    size_t index = 0;
    if (weights->n_projections == place.n_kv_heads)
        index = place.kv_head;
    else if (weights->n_projections == place.n_heads)
        index = place.kv_head * G + tail;
    return weights->projection + index * weights->projection_features * place.D;
}

void pf_head_features_draw(pf_head_features *features, const pf_attention_options *options,
                           const pf_favor_weights *weights, pf_head_index place, uint32_t draw,
                           double *scratch) {
    size_t D = place.D, M = features->k[0].M, m = pf_map_projections(options->map, M);
    if (options->map == PF_MAP_NORMALIZED || m == 0) return;
    for (size_t tail = 0; tail < features->n_tails; tail++) {
        float *omega = features->memory + tail * m * (D + 1), *bias = omega + m * D;
        uint64_t head = (uint64_t)place.layer * place.n_heads + place.kv_head * features->G + tail;
        pf_rng rng;
        pf_rng_seed(&rng, options->seed, head << 32 | draw);
        if (uses_stored(options, weights, M))
            memcpy(omega, stored_projection(weights, place, tail, features->G),
                   m * D * sizeof *omega);
        else
            pf_projection_draw(&rng, options->projection, m, D, omega, scratch);
        if (options->map == PF_MAP_FAVOR_PP && is_calibrated(options, weights))
            pf_projection_propose(m, D,
                                  weights->proposal ? weights->proposal + place.kv_head * D : NULL,
                                  omega, bias);
        if (options->map == PF_MAP_TRIG_OFFSET)
            for (size_t r = 0; r < m; r++)
                bias[r] = (float)(2 * 3.14159265358979323846 * pf_rng_uniform(&rng));
    }
}

void pf_head_features_copy(pf_head_features *to, const pf_head_features *from) {
    memcpy(to->memory, from->memory, from->memory_floats * sizeof *to->memory);
}
