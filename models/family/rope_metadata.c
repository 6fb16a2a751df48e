/* floor 4.1 - RoPE metadata: keys and tensors of a checkpoint -> how its model rotates q and k. */
#include "rope_metadata.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONTEXT (1u << 28)

typedef struct {
    pf_binder *binder;
    const pf_keys *keys;
    pf_model *model;
} reader;

/* Room for a factor per pair, owned by the checkpoint. */
static float *new_factors(const reader *r) {
    return pf_checkpoint_alloc(r->binder->checkpoint, r->model->rope_dim / 2 * sizeof(float),
                               "RoPE factors", r->keys->error);
}

/* Divides every angle by `factor` as well. */
static bool scale_factors(const reader *r, float factor) {
    pf_model *m = r->model;
    float *scaled = new_factors(r);
    if (!scaled) return false;
    for (size_t i = 0; i < m->rope_dim / 2; i++)
        scaled[i] = factor * (m->rope_factors ? m->rope_factors[i] : 1.0f);
    m->rope_factors = scaled;
    return true;
}

/* ---- longrope ---- */

static bool read_longrope(const reader *r) {
    pf_model *m = r->model;
    const float *beyond;
    uint32_t original = m->context;
    size_t pairs = m->rope_dim / 2;
    m->rope_scale = 1;
    if (!pf_bind_vector(r->binder, "rope_factors_short.weight", pairs, &m->rope_factors,
                        r->keys->error) ||
        !pf_bind_vector(r->binder, "rope_factors_long.weight", pairs, &beyond, r->keys->error) ||
        !pf_keys_positive(r->keys, "rope.scaling.attn_factor", &m->rope_scale) ||
        !pf_keys_size(r->keys, "rope.scaling.original_context_length", MAX_CONTEXT, &original))
        return false;
    if (original >= m->context) return true;
    m->long_rope_factors = beyond;
    m->long_context = m->context;
    m->context = original;
    return true;
}

/* ---- YaRN ---- */

/* The pair, as a real number, that turns `rotations` times in `context` tokens. */
static double pair_that_turns(const pf_model *m, double rotations, double context) {
    const double pi = 3.14159265358979323846;
    return (double)m->rope_dim * log(context / (rotations * 2 * pi)) /
           (2 * log((double)m->rope_base));
}

static double magnitude(double factor, double multiplier) {
    return factor > 1 ? 0.1 * multiplier * log(factor) + 1 : 1;
}

static bool read_yarn(const reader *r, float factor) {
    pf_model *m = r->model;
    float fast = 32, slow = 1, extrapolated = 1, log_multiplier = 0, scale = 1;
    uint32_t original = m->context;
    if (!pf_keys_size(r->keys, "rope.scaling.original_context_length", MAX_CONTEXT, &original) ||
        !pf_keys_positive(r->keys, "rope.scaling.yarn_beta_fast", &fast) ||
        !pf_keys_positive(r->keys, "rope.scaling.yarn_beta_slow", &slow) ||
        !pf_keys_f32(r->keys, "rope.scaling.yarn_ext_factor", &extrapolated) ||
        !pf_keys_f32(r->keys, "rope.scaling.yarn_log_multiplier", &log_multiplier) ||
        !pf_keys_positive(r->keys, "rope.scaling.attn_factor", &scale))
        return false;
    if (extrapolated < 0) extrapolated = 1; /* "not set" */
    if (!(extrapolated <= 1) || !(log_multiplier >= 0 && log_multiplier < 1e3f) ||
        !(m->rope_base > 1))
        return pf_fail(r->keys->error,
                       "the YaRN scaling of RoPE is out of range: yarn_ext_factor %g (at most 1), "
                       "yarn_log_multiplier %g, freq_base %g (above 1)",
                       (double)extrapolated, (double)log_multiplier, (double)m->rope_base);
    double low = fmax(floor(pair_that_turns(m, (double)fast, original)), 0);
    double high = fmin(ceil(pair_that_turns(m, (double)slow, original)), m->rope_dim - 1);
    float *factors = new_factors(r);
    if (!factors) return false;
    for (uint32_t i = 0; i < m->rope_dim / 2; i++) {
        double ramp = fmin(fmax((i - low) / fmax(high - low, 0.001), 0), 1);
        double kept = (1 - ramp) * (double)extrapolated; /* share of the unscaled angle */
        factors[i] = (float)(1 / ((1 - kept) / (double)factor + kept));
    }
    m->rope_factors = factors;
    double larger = magnitude((double)factor, 1);
    if (log_multiplier > 0) larger /= magnitude((double)factor, (double)log_multiplier);
    m->rope_scale = scale * (float)(extrapolated > 0 ? larger : 1);
    return true;
}

/* ---- all kinds ---- */

static bool text_is(pf_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

static bool read_scaling(const reader *r) {
    pf_text type = {"linear", 6}; /* if the file gives a factor but no type */
    float factor = 1;
    if (!pf_keys_text(r->keys, "rope.scaling.type", &type) ||
        !pf_keys_positive(r->keys, "rope.scale_linear", &factor) ||
        !pf_keys_positive(r->keys, "rope.scaling.factor", &factor))
        return false;
    if (pf_bind_find(r->binder, "rope_factors_short.weight")) return read_longrope(r);
    if (text_is(type, "yarn")) return read_yarn(r, factor);
    if (!pf_bind_optional_vector(r->binder, "rope_freqs.weight", r->model->rope_dim / 2,
                                 &r->model->rope_factors, r->keys->error))
        return false;
    if (text_is(type, "none")) return true;
    if (text_is(type, "linear")) return factor == 1 || scale_factors(r, factor);
    return pf_fail(r->keys->error,
                   "RoPE scaling of type \"%.*s\" is not supported; supported: none, linear, yarn, "
                   "and longrope with its factors in tensors",
                   (int)(type.size < 40 ? type.size : 40), type.bytes);
}

static bool check_factors(const reader *r, const float *factors) {
    for (size_t i = 0; factors && i < r->model->rope_dim / 2; i++)
        if (!(factors[i] > 0) || !isfinite(factors[i]))
            return pf_fail(r->keys->error,
                           "RoPE factor %zu is %g, but should be a finite number above 0", i,
                           (double)factors[i]);
    return true;
}

bool pf_rope_bind(pf_binder *binder, const pf_keys *keys, pf_model *m) {
    const reader r = {binder, keys, m};
    m->rope_base = 10000;
    m->rope_dim = m->head_dim;
    if (!pf_keys_positive(keys, "rope.freq_base", &m->rope_base) ||
        !pf_keys_size(keys, "rope.dimension_count", m->head_dim, &m->rope_dim))
        return false;
    if (m->rope_dim % 2 != 0)
        return pf_fail(
            keys->error,
            "RoPE rotates pairs, so it cannot rotate %u dimensions of a head, an odd number",
            m->rope_dim);
    if (!read_scaling(&r)) return false;
    if (!check_factors(&r, m->rope_factors) || !check_factors(&r, m->long_rope_factors))
        return false;
    if (m->rope_scale != 0 && (!(m->rope_scale > 0) || !isfinite(m->rope_scale)))
        return pf_fail(keys->error, "RoPE's scale is %g, but should be a finite number above 0",
                       (double)m->rope_scale);
    return true;
}
