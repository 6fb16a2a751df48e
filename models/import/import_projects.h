/* floor 4.1 - layouts: those that foreign.c chooses from; each fills one checkpoint from another. */
#ifndef PF_FOREIGN_LAYOUTS_H
#define PF_FOREIGN_LAYOUTS_H

#include "config_file.h"
#include "tensor_names.h"

/* What all of them do. layout: begun, its prefix found. They add to layout->to, and leave it to the
 * caller to end or abort. config: NULL if none was given. */
typedef bool (*pf_foreign_layout)(pf_layout *layout, const json_t *config, pf_error *error);

bool pf_foreign_llama2c(pf_layout *layout, const json_t *config, pf_error *error);
bool pf_foreign_nanogpt(pf_layout *layout, const json_t *config, pf_error *error);
bool pf_foreign_performer(pf_layout *layout, const json_t *config, pf_error *error);
bool pf_foreign_listed(pf_layout *layout, const json_t *config, pf_error *error);

/* ---- for the layouts: hyperparameters ---- */

typedef struct pf_foreign_size {
    const char *key; /* behind "FAMILY." */
    uint64_t value;
} pf_foreign_size;

/* general.architecture and sizes; false if one of them is 0 or beyond 32 bits, naming it. */
bool pf_foreign_set_sizes(pf_checkpoint *to, const char *family, const pf_foreign_size *sizes,
                          size_t n, pf_error *error);
bool pf_foreign_set_text(pf_checkpoint *to, const char *key, const char *text, pf_error *error);

/* An axis of a tensor behind the prefix (GGUF's order), 0 if there is no such tensor. */
uint64_t pf_foreign_axis(const pf_layout *layout, const char *source, int axis);

/* A number of the file itself ("model_args.n_heads"), as pf_checkpoint_get_*. */
bool pf_foreign_u32(const pf_layout *layout, const char *key, uint32_t *value, pf_error *error);
bool pf_foreign_f32(const pf_layout *layout, const char *key, float *value, pf_error *error);

/* True if both tensors have the same values by construction (one storage) or byte for byte. */
bool pf_foreign_same(const pf_tensor *a, const pf_tensor *b);

#endif
