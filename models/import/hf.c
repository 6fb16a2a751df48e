/* floor 4.3 - Hugging Face folders: config.json, safetensors, tokenizer files -> a checkpoint. */
#include "hf.h"

#include "adapter.h"
#include "family.h"
#include "formats.h"
#include "hf_config.h"
#include "hf_tensors.h"
#include "hf_tokenizer.h"
#include "json.h"
#include "safetensors.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* general.name = the last component of the path. */
static bool set_name(const char *folder, pf_checkpoint *checkpoint, pf_error *error) {
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    return pf_checkpoint_set_text(checkpoint, "general.name", folder + begin, end - begin, error);
}

/* Binds everything as loading does, but makes no matrix: finds a bad folder before any work is
 * done. */
static bool check_model(pf_checkpoint *checkpoint, pf_error *error) {
    pf_model model = {.n_layers = 0};
    pf_layer *layers;
    pf_binder binder = {0};
    bool good = pf_binder_init(&binder, checkpoint, error);
    binder.check_only = true;
    good = good && pf_family_bind(&binder, &model, &layers, error) &&
           pf_bind_nothing_left(&binder, error);
    pf_binder_free(&binder);
    return good;
}

/* *prefix = what torch.compile and DataParallel put in front of every name, or "". */
static void find_wrapper(const pf_checkpoint *from, char prefix[32]) {
    static const char *const wrappers[] = {"_orig_mod.", "module."};
    size_t n = 0;
    prefix[0] = '\0';
    for (int i = 0; i < 4; i++) { /* module._orig_mod. and the like */
        size_t length = strlen(wrappers[i % 2]);
        bool all = pf_checkpoint_n_tensors(from) > 0 && n + length < 32;
        for (size_t t = 0; all && t < pf_checkpoint_n_tensors(from); t++)
            all = strncmp(pf_checkpoint_tensor(from, t)->name, prefix, n) == 0 &&
                  strncmp(pf_checkpoint_tensor(from, t)->name + n, wrappers[i % 2], length) == 0;
        if (!all) continue;
        memcpy(prefix + n, wrappers[i % 2], length + 1);
        n += length;
    }
}

/* Takes ownership of `from`. Messages do not name the folder. */
static pf_checkpoint *translate(const char *folder, const json_t *config, pf_checkpoint *from,
                                pf_hf_config *read, pf_error *error) {
    pf_tensor_names names = {0};
    char prefix[32];
    find_wrapper(from, prefix);
    if (!pf_tensor_names_begin(&names, from, prefix, error) || !set_name(folder, names.to, error) ||
        !pf_hf_config_read(config, names.to, read, error) || !pf_hf_tensors(&names, read, error)) {
        pf_tensor_names_abort(&names);
        return NULL;
    }
    return pf_tensor_names_end(&names, error);
}

static pf_checkpoint *open_model(const char *folder, const json_t *config, bool with_tokenizer,
                                 pf_error *error) {
    pf_error reason = {""};
    pf_hf_config read;
    pf_checkpoint *from = pf_checkpoint_new(folder, error);
    if (!from) return NULL;
    if (!pf_safetensors_read_folder(folder, from, error)) {
        pf_checkpoint_free(from);
        return NULL;
    }
    pf_checkpoint *result = translate(folder, config, from, &read, &reason);
    if (!result || !check_model(result, &reason)) {
        pf_fail(error, "%.300s: %s", folder, reason.message);
    } else if (pf_hf_tokenizer(folder, config, read.qwen, with_tokenizer, result, error)) {
        return result;
    }
    pf_checkpoint_free(result);
    return NULL;
}

pf_checkpoint *pf_hf_open(const char *folder, bool with_tokenizer, pf_error *error) {
    char path[4096];
    if (pf_adapter_in_folder(folder)) {
        pf_error reason = {""};
        pf_adapter_fail(&reason);
        pf_fail(error, "%.300s: %s", folder, reason.message);
        return NULL;
    }
    int n = snprintf(path, sizeof path, "%s/config.json", folder);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0) {
        pf_fail(error, "%.300s: this folder has no config.json, so it is not a Hugging Face model",
                folder);
        return NULL;
    }
    json_t *config = pf_json_open(path, PF_JSON_SMALL, error);
    pf_checkpoint *result = config ? open_model(folder, config, with_tokenizer, error) : NULL;
    json_decref(config);
    return result;
}

pf_checkpoint *pf_hf_or_file_open(const char *path, bool with_tokenizer, pf_error *error) {
    struct stat info;
    bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return is_folder ? pf_hf_open(path, with_tokenizer, error) : pf_checkpoint_open(path, error);
}
