/* floor 4.0 - adapter: what a LoRA adapter looks like, and what to say when it is no model. */
#include "adapter.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool pf_adapter_is_one(const pf_checkpoint *checkpoint) {
    const pf_meta *type = pf_checkpoint_find_meta(checkpoint, "general.type");
    if (type && type->type == PF_META_STRING && type->value.text.size == 7 &&
        memcmp(type->value.text.bytes, "adapter", 7) == 0)
        return true;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(checkpoint); i++)
        if (strstr(pf_checkpoint_tensor(checkpoint, i)->name, ".lora_A.")) return true;
    return false;
}

static bool has_file(const char *folder, const char *name) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

bool pf_adapter_in_folder(const char *folder) {
    return has_file(folder, "adapter_config.json") && !has_file(folder, "model.safetensors") &&
           !has_file(folder, "model.safetensors.index.json");
}

bool pf_adapter_fail(pf_error *error) {
    return pf_fail(error, "this is a LoRA adapter, which changes a model but is none; give its "
                          "base model as MODEL and this with --lora");
}
