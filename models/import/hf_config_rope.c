/* floor 4.1 - Hugging Face config: how q and k rotate -> what rope_metadata.h reads. */
#include "hf_config_private.h"

#include <math.h>
#include <string.h>

static bool add_factors(const pf_hf_reader *r, const char *name, const float *factors,
                        uint64_t pairs) {
    return pf_checkpoint_add_tensor(r->checkpoint, name, PF_F32, 1, &pairs, factors,
                                    (size_t)pairs * sizeof(float), r->error);
}

static float *new_factors(const pf_hf_reader *r, uint64_t pairs) {
    return pf_checkpoint_alloc(r->checkpoint, (size_t)pairs * sizeof(float), "RoPE factors",
                               r->error);
}

/* ---- llama3 ---- */

/* Llama 3.1's RoPE scaling, as the number by which a pair's angle is divided: `factor` for long
 * wavelengths, 1 for short ones, a blend of both in between.
 * Source: apply_scaling in https://github.com/meta-llama/llama-models */
static float llama3_factor(double wavelength, double factor, double low, double high,
                           double context) {
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return (float)factor;
    double smooth = (context / wavelength - low) / (high - low);
    return (float)(1 / ((1 - smooth) / factor + smooth));
}

static bool add_llama3(const pf_hf_reader *r, const json_t *scaling, double base,
                       uint32_t rotated) {
    double factor = 0, low = 0, high = 0, context = 0;
    if (!pf_hf_positive(r, scaling, "factor", &factor) ||
        !pf_hf_positive(r, scaling, "low_freq_factor", &low) ||
        !pf_hf_positive(r, scaling, "high_freq_factor", &high) ||
        !pf_hf_positive(r, scaling, "original_max_position_embeddings", &context))
        return false;
    if (high <= low)
        return pf_fail(r->error, "high_freq_factor in config.json should be above low_freq_factor");
    float *factors = new_factors(r, rotated / 2);
    if (!factors) return false;
    for (uint32_t i = 0; i < rotated / 2; i++) {
        double angle = pow(base, -2.0 * (double)i / rotated); /* per position */
        factors[i] = llama3_factor(2 * 3.14159265358979323846 / angle, factor, low, high, context);
    }
    return add_factors(r, "rope_freqs.weight", factors, rotated / 2);
}

/* ---- longrope ---- */

/* Phi-3 has the field beside rope_scaling, others in it. */
static bool read_original(const pf_hf_reader *r, const json_t *scaling, uint32_t context,
                          uint32_t *original) {
    const char *name = "original_max_position_embeddings";
    *original = context;
    return pf_hf_size(r, pf_hf_field(r->config, name) ? r->config : scaling, name, original);
}

static bool add_list(const pf_hf_reader *r, const json_t *scaling, const char *field,
                     const char *tensor, size_t pairs) {
    const json_t *list = pf_hf_field(scaling, field);
    if (json_array_size(list) != pairs)
        return pf_fail(r->error,
                       "\"%s\" in config.json should be a list of %zu numbers, one per pair of "
                       "dimensions that rotates",
                       field, pairs);
    float *factors = new_factors(r, pairs);
    if (!factors) return false;
    for (size_t i = 0; i < pairs; i++)
        factors[i] = (float)json_number_value(json_array_get(list, i));
    return add_factors(r, tensor, factors, pairs);
}

static bool add_longrope(const pf_hf_reader *r, const json_t *scaling, uint32_t context,
                         uint32_t rotated) {
    uint32_t original;
    if (!read_original(r, scaling, context, &original)) return false;
    double factor = (double)context / original;
    if (!pf_hf_positive(r, scaling, "factor", &factor)) return false;
    double scale = factor > 1 ? sqrt(1 + log(factor) / log((double)original)) : 1;
    return pf_hf_positive(r, scaling, "attention_factor", &scale) &&
           pf_hf_set_text(r, "rope.scaling.type", "longrope") &&
           pf_hf_set_size(r, "rope.scaling.original_context_length", original) &&
           pf_hf_set_float(r, "rope.scaling.attn_factor", scale) &&
           add_list(r, scaling, "short_factor", "rope_factors_short.weight", rotated / 2) &&
           add_list(r, scaling, "long_factor", "rope_factors_long.weight", rotated / 2);
}

/* ---- YaRN ---- */

static double magnitude(double factor, double multiplier) {
    return factor > 1 ? 0.1 * multiplier * log(factor) + 1 : 1;
}

/* GGUF's attn_factor multiplies the usual magnitude, Hugging Face's attention_factor replaces
 * it. */
static bool set_yarn(const pf_hf_reader *r, const json_t *scaling, uint32_t context) {
    uint32_t original;
    double factor = 0, fast = 32, slow = 1, scale, mscale = 1, all = 1;
    const json_t *truncate = pf_hf_field(scaling, "truncate");
    if (truncate && !json_is_true(truncate))
        return pf_fail(r->error, "YaRN with \"truncate\": false in config.json is not supported");
    if (!read_original(r, scaling, context, &original) ||
        !pf_hf_positive(r, scaling, "factor", &factor) ||
        !pf_hf_positive(r, scaling, "beta_fast", &fast) ||
        !pf_hf_positive(r, scaling, "beta_slow", &slow))
        return false;
    bool two = json_number_value(pf_hf_field(scaling, "mscale")) != 0 &&
               json_number_value(pf_hf_field(scaling, "mscale_all_dim")) != 0;
    if (two && (!pf_hf_positive(r, scaling, "mscale", &mscale) ||
                !pf_hf_positive(r, scaling, "mscale_all_dim", &all)))
        return false;
    scale = two ? magnitude(factor, mscale) / magnitude(factor, all) : magnitude(factor, 1);
    return pf_hf_positive(r, scaling, "attention_factor", &scale) &&
           pf_hf_set_text(r, "rope.scaling.type", "yarn") &&
           pf_hf_set_float(r, "rope.scaling.factor", factor) &&
           pf_hf_set_size(r, "rope.scaling.original_context_length", original) &&
           pf_hf_set_float(r, "rope.scaling.attn_factor", scale / magnitude(factor, 1)) &&
           pf_hf_set_float(r, "rope.scaling.yarn_beta_fast", fast) &&
           pf_hf_set_float(r, "rope.scaling.yarn_beta_slow", slow);
}

/* ---- all kinds ---- */

static const char *type_of(const json_t *scaling) {
    const json_t *named = pf_hf_field(scaling, "rope_type");
    const char *type = json_string_value(named ? named : pf_hf_field(scaling, "type"));
    return !scaling ? "default" : type ? type : "?";
}

/* "dynamic" changes nothing up to max_position_embeddings, the context of the model. */
static bool is_plain(const char *type) {
    return strcmp(type, "default") == 0 || strcmp(type, "dynamic") == 0;
}

static bool set_scaling(const pf_hf_reader *r, const json_t *scaling, const pf_hf_rope *rope,
                        double base, uint32_t rotated) {
    const char *type = type_of(scaling);
    double factor = 0;
    if (rope->phi3 && (strcmp(type, "su") == 0 || strcmp(type, "yarn") == 0)) type = "longrope";
    if (is_plain(type)) return true;
    if (strcmp(type, "llama3") == 0) return add_llama3(r, scaling, base, rotated);
    if (strcmp(type, "longrope") == 0) return add_longrope(r, scaling, rope->context, rotated);
    if (strcmp(type, "yarn") == 0) return set_yarn(r, scaling, rope->context);
    if (strcmp(type, "linear") == 0)
        return pf_hf_positive(r, scaling, "factor", &factor) &&
               pf_hf_set_text(r, "rope.scaling.type", "linear") &&
               pf_hf_set_float(r, "rope.scaling.factor", factor);
    return pf_fail(r->error,
                   "RoPE scaling of type \"%.40s\" is not supported; supported: default, linear, "
                   "llama3, yarn, longrope and dynamic",
                   type);
}

/* The share of a head that rotates: in rope_parameters, or beside it under one of two names. */
static bool read_share(const pf_hf_reader *r, const json_t *scaling, const pf_hf_rope *rope,
                       uint32_t *rotated) {
    double share = rope->share;
    if (!pf_hf_positive(r, r->config, "rotary_pct", &share) ||
        !pf_hf_positive(r, r->config, "partial_rotary_factor", &share) ||
        !pf_hf_positive(r, scaling, "partial_rotary_factor", &share))
        return false;
    double dims = share * (double)rope->head_dim;
    *rotated = dims < 1e9 ? (uint32_t)dims : 0;
    if (*rotated < 1 || *rotated > rope->head_dim || *rotated % 2 != 0 ||
        (rope->adjacent && *rotated != rope->head_dim))
        return pf_fail(r->error,
                       "RoPE rotates pairs, but config.json asks for %u of the %u dimensions of a "
                       "head (partial_rotary_factor %g), which is not supported",
                       *rotated, rope->head_dim, share);
    return pf_hf_set_size(r, "rope.dimension_count", *rotated);
}

/* Sliding layers rotate without scaling. */
static bool read_sliding(const pf_hf_reader *r, const json_t *global, const json_t *sliding,
                         const pf_hf_rope *rope) {
    double base = rope->sliding_theta;
    if (sliding && base == 0 && json_equal(global, sliding)) return true;
    if (sliding && !is_plain(type_of(sliding)))
        return pf_fail(r->error,
                       "RoPE scaling of sliding layers (type \"%.40s\" in config.json) is not "
                       "supported",
                       type_of(sliding));
    if (!sliding && base == 0) return true;
    return pf_hf_positive(r, r->config, "rope_local_base_freq", &base) &&
           pf_hf_positive(r, sliding, "rope_theta", &base) &&
           pf_hf_set_float(r, "rope.freq_base_swa", base);
}

/* transformers 5 calls it "rope_parameters", and may have one for each kind of layer; versions up
 * to 4, "rope_scaling". */
bool pf_hf_read_rope(const pf_hf_reader *r, const pf_hf_rope *rope) {
    const json_t *scaling = pf_hf_field(r->config, "rope_parameters"), *sliding = NULL;
    double base = rope->theta;
    uint32_t rotated;
    if (!scaling) scaling = pf_hf_field(r->config, "rope_scaling");
    if (pf_hf_field(scaling, "full_attention") || pf_hf_field(scaling, "sliding_attention")) {
        sliding = pf_hf_field(scaling, "sliding_attention");
        scaling = pf_hf_field(scaling, "full_attention");
    }
    return pf_hf_positive(r, r->config, "rotary_emb_base", &base) &&
           pf_hf_positive(r, r->config, "rope_theta", &base) &&
           pf_hf_positive(r, scaling, "rope_theta", &base) &&
           pf_hf_set_float(r, "rope.freq_base", base) && read_share(r, scaling, rope, &rotated) &&
           set_scaling(r, scaling, rope, base, rotated) && read_sliding(r, scaling, sliding, rope);
}
