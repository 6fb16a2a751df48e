/* floor 1.0 - which attention: the choice a checkpoint records and a command line overrides. */
#ifndef PF_ATTENTION_OPTIONS_H
#define PF_ATTENTION_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum pf_attention_kind {
    PF_ATTENTION_SOFTMAX, /* exact, keys and values of the whole text are kept */
    PF_ATTENTION_FAVOR,   /* sinks and window exact, everything else through random features */
    PF_ATTENTION_LOCAL,   /* sinks and window only */
} pf_attention_kind;

typedef enum pf_map_kind {
    PF_MAP_POSITIVE, /* FAVOR+ proper, Choromanski et al. 2020 */
    PF_MAP_HYPERBOLIC,
    PF_MAP_TRIG,
    PF_MAP_TRIG_OFFSET,
    PF_MAP_FAVOR_PP, /* favor++, Likhosherstov et al. 2022 */
    PF_MAP_RELU,
    PF_MAP_ELU,
    PF_MAP_NORMALIZED, /* fitted by `performer calibrate` */
    PF_MAP_COUNT
} pf_map_kind;

typedef enum pf_projection_kind { PF_PROJECTION_ORTHOGONAL, PF_PROJECTION_IID } pf_projection_kind;

/* The type in which exact keys and values are kept. */
typedef enum pf_kv_kind {
    PF_KV_F32,
    PF_KV_F16,  /* half the bytes: 11 significant bits, at most 65504 */
    PF_KV_Q8_0, /* a quarter: blocks of 32 with a scale each; head_dim must be a multiple of 32 */
} pf_kv_kind;

/* A window that holds the whole text: such a head is exact, and its KV cache grows. */
#define PF_WINDOW_ALL UINT32_MAX

#define PF_REDRAW_NEVER 0
#define PF_REDRAW_SEQUENCE UINT32_MAX

typedef struct pf_attention_options {
    pf_attention_kind kind;
    uint32_t features; /* M per KV head */
    pf_map_kind map;
    pf_projection_kind projection;
    uint32_t redraw;   /* PF_REDRAW_NEVER, PF_REDRAW_SEQUENCE, or every N tokens */
    uint32_t window;   /* W, the current token included; 0: none; PF_WINDOW_ALL */
    uint32_t sinks;    /* S first tokens that stay exact */
    uint32_t forget;   /* decay of the tail: a key weighs (1 - 1/forget)^age, all together at most
                        * `forget` keys; 0: no decay (FAVOR+ proper) */
    pf_kv_kind kv;     /* of the KV cache; never stored in a checkpoint */
    float epsilon;     /* kernel epsilon added to every feature, relative to the stabiliser */
    uint64_t seed;     /* of the projections; layer, head and redraw select streams of it */
    bool uncalibrated; /* ignore stored projections and calibration of the checkpoint */
    /* The stabiliser of the keys is the maximum over all tokens of an append, later ones included,
     * as in reference code; for evaluation only, never stored. */
    bool noncausal_stabilizer;
} pf_attention_options;

/* softmax; if you switch the kind to favor, M = 64 positive orthogonal features, seed 1. */
pf_attention_options pf_attention_options_default(void);

/* What a checkpoint stores for one layer (GGUF: blk.N.favor.*): its own projections, and what
 * `performer calibrate` fitted. All are borrowed, and NULL if absent. Formulas: docs/favor.md. */
typedef struct pf_favor_weights {
    const float *projection;                     /* Omega [n_projections, features, D] */
    uint32_t n_projections;                      /* 1 (one for the layer), n_kv_heads or n_heads */
    const float *q_center, *k_center, *proposal; /* [n_kv_heads, D] each */
    const float *q_map, *k_map;                  /* [n_kv_heads, D, D] */
    const float *q_weight, *q_bias; /* map normalized: [n_heads, M + 1, D], [n_heads, M + 1] */
    const float *k_weight, *k_bias; /* [n_kv_heads, M + 1, D], [n_kv_heads, M + 1] */
    uint32_t projection_features, fitted_features; /* M of projection; M of the fitted tensors */
} pf_favor_weights;

/* Names as on the command line and in GGUF keys; parse returns false for an unknown name. */
const char *pf_attention_name(pf_attention_kind kind);
const char *pf_map_name(pf_map_kind map);
const char *pf_projection_name(pf_projection_kind projection);
const char *pf_kv_name(pf_kv_kind kv);
bool pf_attention_parse(const char *name, pf_attention_kind *kind);
bool pf_map_parse(const char *name, pf_map_kind *map);
bool pf_projection_parse(const char *name, pf_projection_kind *projection);
bool pf_kv_parse(const char *name, pf_kv_kind *kv);

#endif
