/* floor 4.0 - hf_config_private: what the files that read config.json share. */
#ifndef PF_HF_CONFIG_PRIVATE_H
#define PF_HF_CONFIG_PRIVATE_H

#include "checkpoint.h"

#include <jansson.h>

typedef struct pf_hf_reader {
    const json_t *config;
    pf_checkpoint *checkpoint;
    const char *family; /* without the dot: the prefix of GGUF's keys */
    pf_error *error;
} pf_hf_reader;

/* ---- fields of config.json (hf_config_fields.c) ---- */

/* NULL if the field is absent or null. */
const json_t *pf_hf_field(const json_t *object, const char *name);
/* A size from 1 to 2^28. *value is the default for an absent field; 0 means that it is required. */
bool pf_hf_size(const pf_hf_reader *r, const json_t *object, const char *name, uint32_t *value);
/* A finite number above 0. *value is the default in the same way. */
bool pf_hf_positive(const pf_hf_reader *r, const json_t *object, const char *name, double *value);
bool pf_hf_true(const pf_hf_reader *r, const char *name, bool otherwise);
/* *found = the field's text, or NULL if it is absent. Fails if it is not one of the supported
 * names, which are separated by spaces. */
bool pf_hf_name(const pf_hf_reader *r, const char *name, const char *supported, const char **found);

/* ---- GGUF's keys: `name` is without the family ---- */

bool pf_hf_set_size(const pf_hf_reader *r, const char *name, uint32_t value);
bool pf_hf_set_float(const pf_hf_reader *r, const char *name, double value);
bool pf_hf_set_bool(const pf_hf_reader *r, const char *name, bool value);
bool pf_hf_set_text(const pf_hf_reader *r, const char *name, const char *value);
bool pf_hf_set_bools(const pf_hf_reader *r, const char *name, const bool *values, size_t n);
/* Reads a size by its name in config.json and sets GGUF's key. */
bool pf_hf_take_size(const pf_hf_reader *r, const char *name, const char *target, uint32_t *value);

/* ---- RoPE (hf_config_rope.c) ---- */

typedef struct pf_hf_rope {
    uint32_t head_dim, context;
    double theta; /* if the file gives none */
    double
        sliding_theta; /* of sliding layers if the file gives none; 0: they are like the others */
    double share;      /* of a head that rotates, if the file does not say */
    bool adjacent;     /* rows will be reordered for neighbours, which needs whole heads */
    bool phi3;         /* "su" and "yarn" are old names of longrope */
} pf_hf_rope;

/* Sets the keys of rope_metadata.h; for llama3 and longrope it also adds tensors. */
bool pf_hf_read_rope(const pf_hf_reader *r, const pf_hf_rope *rope);

/* ---- sliding layers (hf_config_windows.c) ---- */

typedef enum pf_hf_sliding {
    PF_HF_SLIDES_NEVER,
    PF_HF_SLIDES_MISTRAL,   /* every layer, if there is a sliding_window; 4096 if absent */
    PF_HF_SLIDES_ALL,       /* every layer, if there is a sliding_window */
    PF_HF_SLIDES_BY_NUMBER, /* use_sliding_window: layers from max_window_layers on (qwen) */
    PF_HF_SLIDES_UNROTATED, /* use_sliding_window: every fourth (smollm3) */
    PF_HF_SLIDES_GEMMA2,    /* all but every second */
    PF_HF_SLIDES_GEMMA3,    /* all but every sixth */
    PF_HF_SLIDES_GPT_NEO    /* attention_layers or attention_types say "local" */
} pf_hf_sliding;

/* Sets attention.sliding_window, and sliding_window_pattern unless it is the family's. If the
 * file lists its layer_types, they decide. */
bool pf_hf_read_windows(const pf_hf_reader *r, pf_hf_sliding rule, uint32_t n_layers);

#endif
