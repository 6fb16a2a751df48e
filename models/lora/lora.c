/* floor 4.4 - LoRA: adapters, merged into the matrices of a model. */
#include "lora.h"

#include "lora_deltas.h"
#include "lora_files.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

static bool merge(pf_checkpoint *checkpoint, const pf_lora_source *adapter, int n_threads,
                  pf_error *error) {
    struct stat info;
    bool is_folder = stat(adapter->path, &info) == 0 && S_ISDIR(info.st_mode);
    if (!isfinite(adapter->scale)) return pf_fail(error, "the scale is no finite number");
    pf_checkpoint *deltas =
        is_folder ? pf_lora_peft_deltas(adapter->path, checkpoint, adapter->scale, error)
                  : pf_lora_gguf_deltas(adapter->path, checkpoint, adapter->scale, error);
    return deltas && pf_lora_deltas_merge(checkpoint, deltas, n_threads, error);
}

bool pf_lora_merge(pf_checkpoint *checkpoint, const pf_lora_source *adapters, size_t n,
                   int n_threads, pf_error *error) {
    for (size_t i = 0; i < n; i++) {
        pf_error reason = {""};
        const char *path = adapters[i].path;
        if (merge(checkpoint, &adapters[i], n_threads, &reason)) continue;
        if (strstr(reason.message, path)) /* names the file already */
            return pf_fail(error, "%s", reason.message);
        return pf_fail(error, "%.200s: %s", path, reason.message);
    }
    return true;
}
