/* floor 4.1 - import projects: the hyperparameters of a checkpoint that is being imported. */
#include "import_projects.h"

#include "keys.h"
#include "pth.h"

#include <stdio.h>
#include <string.h>

bool pf_import_set_text(pf_checkpoint *to, const char *key, const char *text, pf_error *error) {
    return pf_checkpoint_set_text(to, key, text, strlen(text), error);
}

bool pf_import_set_sizes(pf_checkpoint *to, const char *family, const pf_import_size *sizes,
                         size_t n, pf_error *error) {
    if (!pf_import_set_text(to, "general.architecture", family, error)) return false;
    for (size_t i = 0; i < n; i++) {
        pf_family_key key = pf_family_key_of(family, sizes[i].key);
        if (sizes[i].value == 0 || sizes[i].value > UINT32_MAX)
            return pf_fail(error,
                           "%s is unknown: neither a tensor nor a number in the file gives it; "
                           "set it with --config FILE.json (docs/convert.md)",
                           key.text);
        if (!pf_checkpoint_set_u32(to, key.text, (uint32_t)sizes[i].value, error)) return false;
    }
    return true;
}

uint64_t pf_import_axis(const pf_tensor_names *names, const char *source, int axis) {
    const pf_tensor *tensor = pf_tensor_names_find(names, source);
    return tensor ? tensor->shape[axis] : 0;
}

bool pf_import_u32(const pf_tensor_names *names, const char *key, uint32_t *value,
                   pf_error *error) {
    return pf_checkpoint_get_u32(names->from, key, value, error);
}

bool pf_import_f32(const pf_tensor_names *names, const char *key, float *value, pf_error *error) {
    return pf_checkpoint_get_f32(names->from, key, value, error);
}

bool pf_import_same(const pf_tensor *a, const pf_tensor *b) {
    if (a->type != b->type || a->bytes != b->bytes ||
        memcmp(a->shape, b->shape, sizeof a->shape) != 0)
        return false;
    if (a->data && b->data) return memcmp(a->data, b->data, a->bytes) == 0;
    return pf_pth_is_same(a, b);
}
