/* floor 4.5 - load: a file of any supported format -> a model and its tokenizer, ready to run. */
#include "load.h"

#include "family.h"
#include "attention_metadata.h"
#include "check_finite.h"
#include "import.h"
#include "formats.h"
#include "hf.h"
#include "memory.h"
#include "vocabulary_meta.h"

struct pf_loaded_owned {
    pf_model model; /* points into the file, or into memory of the checkpoint */
    pf_tokenizer *tokenizer;
    bool check_only; /* matrices are not made: the model cannot run */
};

static bool load_tokenizer(pf_loaded *loaded, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool done = pf_vocabulary_from_checkpoint(loaded->checkpoint, &vocabulary, &storage, error);
    if (done && vocabulary.n_pieces > 0) {
        loaded->owned->tokenizer = pf_tokenizer_new(&vocabulary, error);
        loaded->tokenizer = loaded->owned->tokenizer;
        done = loaded->tokenizer != NULL;
    }
    pf_vocabulary_storage_free(&storage);
    return done;
}

static bool load_model(pf_loaded *loaded, pf_error *error) {
    pf_binder binder = {0};
    pf_layer *layers;
    if (pf_checkpoint_n_tensors(loaded->checkpoint) == 0)
        return pf_fail(error, "the file has no tensors; it may hold a vocabulary, but no model");
    bool done = pf_binder_init(&binder, loaded->checkpoint, error);
    binder.check_only = loaded->owned->check_only;
    done = done && pf_family_bind(&binder, &loaded->owned->model, &layers, error) &&
           pf_attention_bind(&binder, &loaded->owned->model, layers, error) &&
           pf_bind_nothing_left(&binder, error);
    pf_binder_free(&binder);
    if (done) loaded->model = &loaded->owned->model;
    return done;
}

/* Every id of the tokenizer must have an embedding. Embeddings may outnumber the ids. */
static bool check_vocabulary(const pf_loaded *loaded, pf_error *error) {
    if (!loaded->tokenizer || pf_tokenizer_size(loaded->tokenizer) <= loaded->model->n_vocab)
        return true;
    return pf_fail(
        error, "the tokenizer has %zu tokens, but the model only %u (rows of token_embd.weight)",
        pf_tokenizer_size(loaded->tokenizer), loaded->model->n_vocab);
}

static bool load_vocabulary(pf_loaded *loaded, pf_error *error) {
    return load_tokenizer(loaded, error) && check_vocabulary(loaded, error);
}

static bool load_both(pf_loaded *loaded, pf_error *error) {
    return load_model(loaded, error) && load_vocabulary(loaded, error);
}

static bool load_only_tokenizer(pf_loaded *loaded, pf_error *error) {
    if (!load_tokenizer(loaded, error)) return false;
    return loaded->tokenizer || pf_fail(error, "the file has no tokenizer");
}

/* Calls `load`, and puts the path in front of its message. */
static bool load_named(bool (*load)(pf_loaded *loaded, pf_error *error), pf_loaded *loaded,
                       pf_error *error) {
    pf_error reason = {""};
    return load(loaded, &reason) ||
           pf_fail(error, "%s: %s", pf_checkpoint_path(loaded->checkpoint), reason.message);
}

/* Takes ownership of the checkpoint; NULL means that opening it failed. */
static bool open_with(pf_checkpoint *checkpoint, bool (*load)(pf_loaded *loaded, pf_error *error),
                      pf_loaded *loaded, pf_error *error) {
    *loaded = (pf_loaded){.checkpoint = checkpoint};
    if (!checkpoint) return false;
    loaded->owned = pf_calloc(1, sizeof *loaded->owned, pf_checkpoint_path(checkpoint), error);
    if (loaded->owned && load_named(load, loaded, error)) return true;
    pf_loaded_close(loaded);
    return false;
}

static pf_checkpoint *open_any(const char *path, pf_error *error) {
    return pf_import_checkpoint(pf_hf_or_file_open(path, true, error), NULL, error);
}

bool pf_loaded_open(const char *path, pf_loaded *loaded, pf_error *error) {
    return open_with(open_any(path, error), load_both, loaded, error);
}

bool pf_loaded_open_bytes(pf_slice bytes, const char *name, pf_loaded *loaded, pf_error *error) {
    return open_with(
        pf_import_checkpoint(pf_checkpoint_open_bytes(bytes, name, error), NULL, error), load_both,
        loaded, error);
}

bool pf_loaded_open_tokenizer(const char *path, pf_loaded *loaded, pf_error *error) {
    return open_with(pf_hf_or_file_open(path, true, error), load_only_tokenizer, loaded, error);
}

bool pf_loaded_bind(pf_checkpoint *checkpoint, pf_loaded *loaded, pf_error *error) {
    return open_with(checkpoint, load_both, loaded, error);
}

bool pf_loaded_check(pf_checkpoint *checkpoint, pf_loaded_facts *facts, pf_error *error) {
    pf_loaded loaded = {.checkpoint = checkpoint};
    loaded.owned = pf_calloc(1, sizeof *loaded.owned, pf_checkpoint_path(checkpoint), error);
    if (!loaded.owned) return false;
    loaded.owned->check_only = true;
    bool good = load_named(load_both, &loaded, error);
    if (good)
        *facts = (pf_loaded_facts){.parameters = pf_model_parameters(loaded.model),
                                   .attention = loaded.model->attention.kind,
                                   .has_tokenizer = loaded.tokenizer != NULL};
    loaded.checkpoint = NULL; /* borrowed */
    pf_loaded_close(&loaded);
    return good;
}

/* ---- with every weight checked ---- */

static bool read_tokenizer(void *context, pf_error *error) {
    return load_named(load_vocabulary, context, error);
}

bool pf_loaded_open_checked(const char *path, int n_threads, pf_loaded *loaded, pf_error *error) {
    return pf_loaded_open_adapted(path, NULL, 0, n_threads, loaded, error);
}

bool pf_loaded_open_adapted(const char *path, const pf_lora_source *adapters, size_t n,
                            int n_threads, pf_loaded *loaded, pf_error *error) {
    pf_checkpoint *checkpoint = open_any(path, error);
    if (checkpoint && !pf_lora_merge(checkpoint, adapters, n, n_threads, error)) {
        pf_checkpoint_free(checkpoint);
        checkpoint = NULL;
    }
    if (!open_with(checkpoint, load_model, loaded, error)) return false;
    if (pf_check_finite(loaded->checkpoint, n_threads, read_tokenizer, loaded, error)) return true;
    pf_loaded_close(loaded);
    return false;
}

bool pf_loaded_check_numbers(const pf_loaded *loaded, int n_threads, pf_error *error) {
    return pf_check_finite(loaded->checkpoint, n_threads, NULL, NULL, error);
}

void pf_loaded_close(pf_loaded *loaded) {
    if (loaded->owned) pf_tokenizer_free(loaded->owned->tokenizer);
    pf_free(loaded->owned);
    pf_checkpoint_free(loaded->checkpoint);
    *loaded = (pf_loaded){0};
}
