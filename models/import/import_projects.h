/* floor 4.1 - import projects: one importer per project, and what the importers share. */
#ifndef PF_IMPORT_PROJECTS_H
#define PF_IMPORT_PROJECTS_H

#include "config_file.h"
#include "tensor_names.h"

/* An importer adds the tensors and keys of names->from to names->to, under GGUF's names. `names`
 * has been begun with the file's prefix; the caller ends or aborts it. config: NULL if none was
 * given. */
typedef bool (*pf_import_project)(pf_tensor_names *names, const json_t *config, pf_error *error);

bool pf_import_llama2c(pf_tensor_names *names, const json_t *config, pf_error *error);
bool pf_import_nanogpt(pf_tensor_names *names, const json_t *config, pf_error *error);
bool pf_import_performer(pf_tensor_names *names, const json_t *config, pf_error *error);
bool pf_import_listed(pf_tensor_names *names, const json_t *config, pf_error *error);

/* ---- hyperparameters, for the importers ---- */

typedef struct pf_import_size {
    const char *key; /* without the "FAMILY." in front */
    uint64_t value;
} pf_import_size;

/* Sets general.architecture and the sizes. Fails, naming the size, if one is 0 or needs over 32
 * bits. */
bool pf_import_set_sizes(pf_checkpoint *to, const char *family, const pf_import_size *sizes,
                         size_t n, pf_error *error);
bool pf_import_set_text(pf_checkpoint *to, const char *key, const char *text, pf_error *error);

/* The length of one axis (GGUF's order) of the tensor prefix + source; 0 if there is no such
 * tensor. */
uint64_t pf_import_axis(const pf_tensor_names *names, const char *source, int axis);

/* A number that the file itself holds ("model_args.n_heads"); see pf_checkpoint_get_u32. */
bool pf_import_u32(const pf_tensor_names *names, const char *key, uint32_t *value, pf_error *error);
bool pf_import_f32(const pf_tensor_names *names, const char *key, float *value, pf_error *error);

/* True if both tensors are views of the same storage, or are equal byte for byte. */
bool pf_import_same(const pf_tensor *a, const pf_tensor *b);

#endif
