/* floor 4.0 - attention keys: what a checkpoint says of how its model attends, written. */
#include "attention_keys.h"

#include <string.h>

static bool set_name(pf_checkpoint *checkpoint, const char *key, const char *name,
                     pf_error *error) {
    return pf_checkpoint_set_text(checkpoint, key, name, strlen(name), error);
}

bool pf_attention_to_checkpoint(const pf_attention_options *attention, pf_checkpoint *checkpoint,
                                pf_error *error) {
    if (!set_name(checkpoint, "performer.attention", pf_attention_name(attention->kind), error))
        return false;
    if (attention->kind == PF_ATTENTION_SOFTMAX) return true;
    if (!pf_checkpoint_set_u32(checkpoint, "performer.window", attention->window, error) ||
        !pf_checkpoint_set_u32(checkpoint, "performer.sinks", attention->sinks, error))
        return false;
    if (attention->kind == PF_ATTENTION_LOCAL) return true;
    if (attention->forget &&
        !pf_checkpoint_set_u32(checkpoint, "performer.forget", attention->forget, error))
        return false;
    return pf_checkpoint_set_u32(checkpoint, "performer.features", attention->features, error) &&
           set_name(checkpoint, "performer.map", pf_map_name(attention->map), error) &&
           set_name(checkpoint, "performer.projection", pf_projection_name(attention->projection),
                    error) &&
           pf_checkpoint_set_f32(checkpoint, "performer.epsilon", attention->epsilon, error) &&
           pf_checkpoint_set_u64(checkpoint, "performer.seed", attention->seed, error);
}
