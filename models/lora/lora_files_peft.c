/* floor 4.3 - LoRA files, PEFT: Hugging Face's form of adapters.
 *
 * The deltas are made as tensors of a Hugging Face model, under its names, and then translated like
 * the model itself: so the rows of q and k are reordered where the model's are.
 */
#include "lora_files.h"

#include "formats.h"
#include "hf_tensors.h"
#include "json.h"
#include "lora_deltas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_NAME 256

/* ---- adapter_config.json ---- */

typedef struct peft_config {
    json_t *json;
    double alpha;
    bool root; /* rank-stabilised: alpha / sqrt(rank) */
} peft_config;

static bool is_true(const json_t *json, const char *name) {
    return json_is_true(json_object_get(json, name));
}

/* Variants of LoRA that compute something else; unused, they are false, null or empty. */
static const char *const variants[] = {"use_dora",          "use_qalora",
                                       "use_bdlora",        "lora_bias",
                                       "layer_replication", "alora_invocation_tokens",
                                       "arrow_config",      "kasa_config",
                                       "monteclora_config", "target_parameters"};

static bool is_unused(const json_t *value) {
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* What would make the result other than W + scale B A. */
static bool check_plain(const json_t *json, pf_error *error) {
    static const char *const changed_bases[] = {"pissa", "olora", "loftq", "corda", "lora_ga"};
    const char *type = json_string_value(json_object_get(json, "peft_type"));
    const char *bias = json_string_value(json_object_get(json, "bias"));
    const char *start = json_string_value(json_object_get(json, "init_lora_weights"));
    if (!type || strcmp(type, "LORA") != 0)
        return pf_fail(error, "an adapter of peft_type \"%.40s\" is not supported; only LORA is",
                       type ? type : "?");
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (!is_unused(json_object_get(json, variants[i])))
            return pf_fail(error,
                           "an adapter with \"%s\" is not supported; merge it with PEFT's "
                           "merge_and_unload and convert the result",
                           variants[i]);
    if (bias && strcmp(bias, "none") != 0)
        return pf_fail(error,
                       "an adapter that changes biases (\"bias\": \"%.40s\") is not "
                       "supported",
                       bias);
    for (size_t i = 0; start && i < sizeof changed_bases / sizeof *changed_bases; i++)
        if (strncmp(start, changed_bases[i], strlen(changed_bases[i])) == 0)
            return pf_fail(error,
                           "\"init_lora_weights\": \"%.40s\" has changed the base model, so the "
                           "adapter does not fit it; convert it to plain LoRA with PEFT first",
                           start);
    return true;
}

static bool read_config(const char *folder, peft_config *config, pf_error *error) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0)
        return pf_fail(error, "the folder has no adapter_config.json, so it is no adapter of PEFT");
    config->json = pf_json_open(path, PF_JSON_SMALL, error);
    if (!config->json) return false;
    const json_t *alpha = json_object_get(config->json, "lora_alpha");
    config->root = is_true(config->json, "use_rslora");
    if (!json_is_number(alpha) || !isfinite(json_number_value(alpha)))
        return pf_fail(error, "adapter_config.json has no number lora_alpha");
    config->alpha = json_number_value(alpha);
    return check_plain(config->json, error);
}

/* True if the pattern, the end of a module's name, fits the module. Others are regular expressions
 * (PEFT allows them), which *unknown reports. */
static bool pattern_fits(const char *pattern, const char *module, bool *unknown) {
    size_t n = strlen(pattern), m = strlen(module);
    *unknown |= strpbrk(pattern, "*+?()[]{}|\\^$") != NULL;
    return m >= n && strcmp(module + m - n, pattern) == 0 && (m == n || module[m - n - 1] == '.');
}

static bool find_alpha(const peft_config *config, const char *module, double *alpha,
                       pf_error *error) {
    json_t *patterns = json_object_get(config->json, "alpha_pattern");
    const char *key;
    json_t *value;
    bool unknown = false;
    *alpha = config->alpha;
    json_object_foreach(patterns, key, value) {
        if (pattern_fits(key, module, &unknown)) *alpha = json_number_value(value);
        if (unknown)
            return pf_fail(error,
                           "the alpha_pattern \"%.60s\" is a regular expression, which is "
                           "not supported; write out the modules' names",
                           key);
    }
    return true;
}

/* ---- adapter_model.safetensors ---- */

/* Copies the name without PEFT's prefix and torch.compile's. */
static bool plain_name(const char *name, char out[MAX_NAME]) {
    static const char peft[] = "base_model.model.", compiled[] = "_orig_mod.";
    size_t n = 0;
    if (strncmp(name, peft, sizeof peft - 1) == 0) name += sizeof peft - 1;
    while (*name && n + 1 < MAX_NAME) {
        if (strncmp(name, compiled, sizeof compiled - 1) == 0)
            name += sizeof compiled - 1;
        else
            out[n++] = *name++;
    }
    out[n] = '\0';
    return *name == '\0';
}

/* The tensor that has the one letter at `at` changed to B. */
static const pf_tensor *find_b(const pf_checkpoint *file, const char *name, size_t at) {
    char other[2 * MAX_NAME];
    int n = snprintf(other, sizeof other, "%s", name);
    if (n < 0 || (size_t)n >= sizeof other) return NULL;
    other[at] = 'B';
    return pf_checkpoint_find(file, other);
}

typedef struct peft_reader {
    const peft_config *config;
    const pf_checkpoint *file;
    pf_checkpoint *to; /* deltas under Hugging Face's names */
    pf_hf_names names;
    float scale;
} peft_reader;

/* Adds the delta of the tensor, if it is an A, whose name has `mark` at `at`. */
static bool take_a(const peft_reader *r, const pf_tensor *a, const char *mark, const char *at,
                   pf_error *error) {
    char module[MAX_NAME], name[MAX_NAME + 8];
    bool embedding = strcmp(mark, ".lora_embedding_A") == 0;
    const pf_tensor *b = find_b(r->file, a->name, (size_t)(at - a->name) + strlen(mark) - 1);
    if (!b)
        return pf_fail(error, "the tensor %s has no partner lora_B; the adapter is incomplete",
                       a->name);
    if (!plain_name(a->name, module))
        return pf_fail(error, "the name %.80s... is too long", a->name);
    *strstr(module, mark) = '\0';
    snprintf(name, sizeof name, "%s.weight", module);
    /* GPT-2's matrices are [in, out], as its Conv1D has them, and so is the embedding. */
    bool turned = embedding || (r->names == PF_HF_NAMES_GPT2 && strstr(module, ".c_"));
    pf_lora_pair pair =
        turned ? (pf_lora_pair){.up = a, .down = b, .up_transposed = true, .down_transposed = true}
               : (pf_lora_pair){.up = b, .down = a};
    double alpha, rank = (double)pf_lora_rank(&pair);
    if (!find_alpha(r->config, module, &alpha, error)) return false;
    pair.scale = rank > 0 ? (float)(r->scale * alpha / (r->config->root ? sqrt(rank) : rank)) : 0;
    return pf_lora_delta_add(r->to, name, &pair, error);
}

/* If the tensor is a half of a pair, where its name says so; *mark is what it says. */
static const char *find_mark(const char *name, const char **mark) {
    static const char *const marks[] = {".lora_A", ".lora_embedding_A", ".lora_B",
                                        ".lora_embedding_B"};
    size_t n = strlen(name);
    for (size_t i = 0; i < 4; i++) {
        const char *at = strstr(name, marks[i]);
        if (!at || (n > 5 && strcmp(name + n - 5, ".bias") == 0)) continue;
        *mark = marks[i];
        return at;
    }
    return NULL;
}

/* The base's own matrix, which PEFT saves beside the halves for embeddings. */
static bool is_copy(const char *name) {
    static const char end[] = ".base_layer.weight";
    size_t n = strlen(name);
    return n >= sizeof end && strcmp(name + n - (sizeof end - 1), end) == 0;
}

static bool take_all(const peft_reader *r, pf_error *error) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(r->file); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(r->file, i);
        const char *mark = NULL, *at = find_mark(tensor->name, &mark);
        if (!at && is_copy(tensor->name)) continue;
        if (!at)
            return pf_fail(error,
                           "the tensor %s is neither lora_A nor lora_B (modules_to_save is not "
                           "supported), and leaving it out would give wrong results",
                           tensor->name);
        bool is_a = mark[strlen(mark) - 1] == 'A';
        if (is_a && !take_a(r, tensor, mark, at, error)) return false;
    }
    return pf_checkpoint_n_tensors(r->to) > 0 ||
           pf_fail(error, "adapter_model.safetensors has no lora_A");
}

/* ---- the model that it is for ---- */

/* Fails if a delta has no place in the model. */
static bool check_used(const pf_tensor_names *names, pf_error *error) {
    for (size_t i = 0; i < pf_checkpoint_n_tensors(names->from); i++)
        if (!names->used[i])
            return pf_fail(error,
                           "the adapter is for a matrix %s, which the model does not have; it was "
                           "made for another model",
                           pf_checkpoint_tensor(names->from, i)->name);
    return true;
}

static pf_checkpoint *translate(pf_checkpoint *from, pf_hf_config *config, pf_error *error) {
    pf_tensor_names names = {.from = from};
    config->tied = !pf_checkpoint_find(from, "lm_head.weight") &&
                   !pf_checkpoint_find(from, "embed_out.weight"); /* of gpt_neox */
    if (pf_tensor_names_begin(&names, from, "", error) && pf_hf_tensors(&names, config, error) &&
        check_used(&names, error))
        return pf_tensor_names_end(&names, error);
    pf_tensor_names_abort(&names);
    return NULL;
}

static void free_checkpoint(void *object) { pf_checkpoint_free(object); }

static pf_checkpoint *open_weights(const char *folder, pf_error *error) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0)
        return pf_checkpoint_open(path, error);
    pf_fail(error, "the folder has no adapter_model.safetensors; save the adapter with "
                   "safe_serialization=True, the default of PEFT");
    return NULL;
}

/* `config` has been read. */
static pf_checkpoint *read_deltas(const char *folder, const peft_config *config,
                                  const pf_checkpoint *base, float scale, pf_error *error) {
    pf_hf_config hf = {.n_layers = 0};
    if (!pf_hf_config_of(base, &hf, error)) return NULL;
    pf_checkpoint *file = open_weights(folder, error);
    pf_checkpoint *from = file ? pf_checkpoint_new(folder, error) : NULL;
    if (!from || !pf_checkpoint_take_object(from, file, free_checkpoint, error)) {
        pf_checkpoint_free(from);
        pf_checkpoint_free(file);
        return NULL;
    }
    peft_reader reader = {config, file, from, hf.names, scale};
    if (take_all(&reader, error)) return translate(from, &hf, error);
    pf_checkpoint_free(from);
    return NULL;
}

pf_checkpoint *pf_lora_peft_deltas(const char *folder, const pf_checkpoint *base, float scale,
                                   pf_error *error) {
    peft_config config = {.json = NULL};
    pf_checkpoint *deltas = NULL;
    if (read_config(folder, &config, error))
        deltas = read_deltas(folder, &config, base, scale, error);
    json_decref(config.json);
    return deltas;
}
