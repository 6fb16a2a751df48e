/* floor 4.2 - Hugging Face tokenizer: a folder's tokenizer file, and what other files add. */
#include "hf_tokenizer.h"

#include "json.h"
#include "memory.h"
#include "tokenizer_files.h"
#include "vocabulary_meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TEMPLATE ((size_t)1 << 20)

typedef struct {
    char text[4096];
} path_text;

/* *path = folder/name; false if there is no such file. */
static bool find_file(const char *folder, const char *name, path_text *path) {
    int n = snprintf(path->text, sizeof path->text, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path->text && access(path->text, F_OK) == 0;
}

/* *root = the file's JSON, or NULL if there is no such file. */
static bool open_optional(const char *folder, const char *name, json_t **root, pf_error *error) {
    path_text path = {""};
    *root = NULL;
    if (!find_file(folder, name, &path)) return true;
    *root = pf_json_open(path.text, PF_JSON_SMALL, error);
    return *root != NULL;
}

static bool wrong(const char *folder, const char *file, const char *what, pf_error *error) {
    return pf_fail(error, "%.300s/%s: %s", folder, file, what);
}

/* ---- ids ---- */

static int32_t find_piece(const pf_vocabulary *vocabulary, const char *text) {
    size_t size = text ? strlen(text) : 0;
    for (size_t id = 0; text && id < vocabulary->n_pieces; id++)
        if (vocabulary->pieces[id].size == size &&
            memcmp(vocabulary->pieces[id].bytes, text, size) == 0)
            return (int32_t)id;
    return -1;
}

/* "bos_token": "<s>" or {"content": "<s>", ...}; null means that the model has no such token. */
static void set_by_name(const json_t *config, const char *key, const pf_vocabulary *vocabulary,
                        int32_t *id) {
    const json_t *value = json_object_get(config, key);
    if (json_is_null(value)) *id = -1;
    if (json_is_object(value)) value = json_object_get(value, "content");
    if (!json_is_string(value)) return;
    int32_t found = find_piece(vocabulary, json_string_value(value));
    if (found >= 0) *id = found;
}

static void set_flag(const json_t *config, const char *key, int32_t id, bool *flag) {
    const json_t *value = json_object_get(config, key);
    if (json_is_boolean(value)) *flag = json_is_true(value);
    if (id < 0) *flag = false;
}

/* "eos_token_id": 2 or [128001, 128009]. Unless EOS is known already, it is the first id; the next
 * id that is not EOS becomes EOT, and all others end a text as well. */
static void set_by_id(const json_t *config, pf_vocabulary *vocabulary) {
    const json_t *bos = json_object_get(config, "bos_token_id");
    const json_t *eos = json_object_get(config, "eos_token_id");
    json_int_t n = (json_int_t)vocabulary->n_pieces;
    if (vocabulary->bos < 0 && json_is_integer(bos) && json_integer_value(bos) >= 0 &&
        json_integer_value(bos) < n)
        vocabulary->bos = (int32_t)json_integer_value(bos);
    for (size_t i = 0; i < (json_is_array(eos) ? json_array_size(eos) : 1); i++) {
        const json_t *one = json_is_array(eos) ? json_array_get(eos, i) : eos;
        json_int_t id = json_is_integer(one) ? json_integer_value(one) : -1;
        if (id < 0 || id >= n) continue;
        if (vocabulary->eos < 0)
            vocabulary->eos = (int32_t)id;
        else if (vocabulary->eot < 0 && id != vocabulary->eos)
            vocabulary->eot = (int32_t)id;
        else if (vocabulary->n_ends < PF_MAX_ENDS && id != vocabulary->eos && id != vocabulary->eot)
            vocabulary->ends[vocabulary->n_ends++] = (int32_t)id;
    }
}

/* "added_tokens_decoder": {"32000": {"content": "<|user|>", "special": true, "lstrip": ...}, ...}
 * gives the types of tokens that may be ordinary pieces in the tokenizer file. */
static bool apply_added_tokens(const json_t *config, pf_vocabulary_storage *storage, size_t n,
                               pf_error *error) {
    const char *key;
    json_t *token;
    json_object_foreach(json_object_get(config, "added_tokens_decoder"), key, token) {
        char *end;
        const json_t *content = json_object_get(token, "content");
        unsigned long id = strtoul(key, &end, 10);
        pf_piece *piece = *end == '\0' && id < n ? &storage->pieces[id] : NULL;
        if (!piece || !json_is_string(content) || piece->size != json_string_length(content) ||
            memcmp(piece->bytes, json_string_value(content), piece->size) != 0)
            return pf_fail(error,
                           "the added token %.20s (\"%.60s\") is not in the tokenizer file; "
                           "give a complete one with --tokenizer",
                           key, json_is_string(content) ? json_string_value(content) : "?");
        if (piece->type == PF_TOKEN_UNKNOWN) continue;
        piece->type = json_is_true(json_object_get(token, "special")) ? PF_TOKEN_CONTROL
                                                                      : PF_TOKEN_USER_DEFINED;
        piece->in_words = false; /* transformers cuts the text at it */
        piece->strip_left = json_is_true(json_object_get(token, "lstrip"));
        piece->strip_right = json_is_true(json_object_get(token, "rstrip"));
    }
    return true;
}

/* ---- chat template ---- */

/* The template is a string, or "default" in a list of {"name": ..., "template": ...}. */
static const json_t *find_template(const json_t *config) {
    size_t i;
    json_t *one;
    const json_t *value = json_object_get(config, "chat_template");
    if (json_is_string(value)) return value;
    json_array_foreach((json_t *)value, i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *text = json_object_get(one, "template");
        if (name && strcmp(name, "default") == 0 && json_is_string(text)) return text;
    }
    return NULL;
}

static bool set_template(pf_checkpoint *checkpoint, const char *text, size_t size,
                         pf_error *error) {
    return pf_checkpoint_set_text(checkpoint, "tokenizer.chat_template", text, size, error);
}

/* The file wins, as in transformers. */
static bool take_template(const char *folder, const json_t *config, pf_checkpoint *checkpoint,
                          pf_error *error) {
    const json_t *text = find_template(config);
    path_text path = {""};
    pf_file file;
    if (!find_file(folder, "chat_template.jinja", &path))
        return !text ||
               set_template(checkpoint, json_string_value(text), json_string_length(text), error);
    if (!pf_file_open(path.text, &file, error)) return false;
    bool good =
        file.bytes.size <= MAX_TEMPLATE
            ? set_template(checkpoint, (const char *)file.bytes.data, file.bytes.size, error)
            : pf_fail(error, "%s: the chat template is larger than 1 MiB, the limit", path.text);
    pf_file_close(&file);
    return good;
}

/* ---- all together ---- */

/* vocab.json and merges.txt do not say how text is normalised and split, and are read as GPT-2's.
 * Sets Qwen's rules, unless the tokenizer had its own. */
static bool cut_as_qwen(pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                        pf_error *error) {
    if (vocabulary->kind != PF_TOKENIZER_BPE || storage->steps) return true;
    storage->steps = pf_calloc(1, sizeof *storage->steps, "a step", error);
    if (!storage->steps) return false;
    storage->steps[0] = (pf_normal_step){.kind = PF_NORMAL_NFC, .from = "", .to = ""};
    vocabulary->normal_steps = storage->steps;
    vocabulary->n_normal_steps = 1;
    memcpy(vocabulary->pre, "qwen2", sizeof "qwen2");
    return true;
}

static bool adjust(const char *folder, const json_t *config, const json_t *tokenizer_config,
                   bool qwen, pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                   pf_error *error) {
    pf_error reason = {""};
    path_text path = {""};
    json_t *generation;
    if (!apply_added_tokens(tokenizer_config, storage, vocabulary->n_pieces, &reason))
        return wrong(folder, "tokenizer_config.json", reason.message, error);
    if (!open_optional(folder, "generation_config.json", &generation, error)) return false;
    set_by_name(tokenizer_config, "bos_token", vocabulary, &vocabulary->bos);
    set_by_name(tokenizer_config, "eos_token", vocabulary, &vocabulary->eos);
    set_by_name(tokenizer_config, "unk_token", vocabulary, &vocabulary->unk);
    set_by_id(generation ? generation : config, vocabulary);
    set_flag(tokenizer_config, "add_bos_token", vocabulary->bos, &vocabulary->add_bos);
    set_flag(tokenizer_config, "add_eos_token", vocabulary->eos, &vocabulary->add_eos);
    json_decref(generation);
    /* Said of tokenizer.model; a tokenizer.json has rules of its own. */
    if (vocabulary->kind == PF_TOKENIZER_SPM && !find_file(folder, "tokenizer.json", &path) &&
        json_is_false(json_object_get(tokenizer_config, "legacy")))
        vocabulary->prefix_at_start = true;
    return !qwen || cut_as_qwen(vocabulary, storage, error);
}

static bool take_vocabulary(const char *folder, const json_t *config,
                            const json_t *tokenizer_config, bool qwen, pf_checkpoint *checkpoint,
                            pf_error *error) {
    pf_vocabulary vocabulary = {.n_pieces = 0};
    pf_vocabulary_storage storage = {0};
    const pf_tensor *embedding = pf_checkpoint_find(checkpoint, "token_embd.weight");
    size_t n_vocab = embedding ? (size_t)embedding->shape[1] : 0;
    bool good = pf_tokenizer_file_read(folder, n_vocab, &vocabulary, &storage, error) &&
                adjust(folder, config, tokenizer_config, qwen, &vocabulary, &storage, error);
    if (good && vocabulary.n_pieces > n_vocab)
        good = pf_fail(error, "%.300s: the tokenizer has %zu tokens, but the model only %zu",
                       folder, vocabulary.n_pieces, n_vocab);
    good = good && pf_vocabulary_to_checkpoint(&vocabulary, checkpoint, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}

bool pf_hf_tokenizer(const char *folder, const json_t *config, bool qwen, bool with_vocabulary,
                     pf_checkpoint *checkpoint, pf_error *error) {
    json_t *tokenizer_config;
    if (!open_optional(folder, "tokenizer_config.json", &tokenizer_config, error)) return false;
    bool good = take_template(folder, tokenizer_config, checkpoint, error);
    if (good && with_vocabulary && pf_tokenizer_file_in_folder(folder))
        good = take_vocabulary(folder, config, tokenizer_config, qwen, checkpoint, error);
    json_decref(tokenizer_config);
    return good;
}
