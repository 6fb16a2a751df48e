/* floor 4.3 - import: a checkpoint with another project's tensor names -> GGUF's names and keys. */
#include "import.h"

#include "adapter.h"
#include "import_projects.h"

#include <stdio.h>
#include <string.h>

/* The tensor by which a project is recognised. Whatever precedes the name is the file's prefix. */
static const struct {
    const char *tensor;
    pf_import_project translate;
} projects[] = {
    {"tok_embeddings.weight", pf_import_llama2c},
    {"transformer.wte.weight", pf_import_nanogpt},
    {"token_emb.weight", pf_import_performer},
};
#define N_PROJECTS (sizeof projects / sizeof *projects)

bool pf_import_is_needed(const pf_checkpoint *checkpoint) {
    return pf_checkpoint_n_tensors(checkpoint) > 0 &&
           !pf_checkpoint_find_meta(checkpoint, "general.architecture") &&
           !pf_checkpoint_find(checkpoint, "token_embd.weight");
}

/* Finds a tensor whose name is `suffix`, or a prefix that ends in a dot and then `suffix`. */
static bool find_prefix(const pf_checkpoint *checkpoint, const char *suffix, char *prefix,
                        size_t size) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(checkpoint); i++) {
        const char *name = pf_checkpoint_tensor(checkpoint, i)->name;
        size_t n = strlen(name), m = strlen(suffix);
        if (n < m || strcmp(name + n - m, suffix) != 0 || n - m >= size) continue;
        if (n > m && name[n - m - 1] != '.') continue;
        memcpy(prefix, name, n - m);
        prefix[n - m] = '\0';
        return true;
    }
    return false;
}

static pf_import_project choose(const pf_checkpoint *checkpoint, const json_t *config, char *prefix,
                                size_t size, pf_error *error) {
    prefix[0] = '\0';
    if (json_object_get(config, "tensors")) {
        const char *given = "";
        if (!pf_config_text(config, "prefix", &given, error)) return NULL;
        if (strlen(given) >= size) {
            pf_fail(error, "\"prefix\" in the --config is too long");
            return NULL;
        }
        memcpy(prefix, given, strlen(given) + 1);
        return pf_import_listed;
    }
    for (size_t i = 0; i < N_PROJECTS; i++)
        if (find_prefix(checkpoint, projects[i].tensor, prefix, size)) return projects[i].translate;
    pf_fail(error,
            "the tensor names (%.80s, ...) match no known project (llama2.c, nanoGPT, "
            "performer-pytorch); list them in a --config FILE.json (docs/convert.md)",
            pf_checkpoint_tensor(checkpoint, 0)->name);
    return NULL;
}

static pf_checkpoint *translate(pf_checkpoint *checkpoint, const json_t *config, pf_error *error) {
    char prefix[64];
    pf_tensor_names names = {.from = checkpoint};
    pf_import_project chosen = choose(checkpoint, config, prefix, sizeof prefix, error);
    if (chosen && pf_tensor_names_begin(&names, checkpoint, prefix, error) &&
        chosen(&names, config, error))
        return pf_tensor_names_end(&names, error);
    pf_tensor_names_abort(&names);
    return NULL;
}

static pf_checkpoint *translate_with(pf_checkpoint *checkpoint, const char *config,
                                     pf_error *error) {
    json_t *object = config ? pf_config_open(config, error) : NULL;
    if (config && !object) {
        pf_checkpoint_free(checkpoint);
        return NULL;
    }
    pf_checkpoint *result = translate(checkpoint, object, error);
    json_decref(object);
    return result;
}

pf_checkpoint *pf_import_checkpoint(pf_checkpoint *checkpoint, const char *config,
                                    pf_error *error) {
    pf_error reason = {""};
    char path[300];
    if (!checkpoint) return NULL;
    snprintf(path, sizeof path, "%s", pf_checkpoint_path(checkpoint));
    if (pf_adapter_is_one(checkpoint)) {
        pf_adapter_fail(&reason);
        pf_checkpoint_free(checkpoint);
        checkpoint = NULL;
    } else if (pf_import_is_needed(checkpoint)) {
        checkpoint = translate_with(checkpoint, config, &reason);
    } else if (config) {
        pf_fail(&reason, "this file needs no --config; leave it out");
        pf_checkpoint_free(checkpoint);
        checkpoint = NULL;
    }
    if (!checkpoint) pf_fail(error, "%s: %s", path, reason.message);
    return checkpoint;
}
