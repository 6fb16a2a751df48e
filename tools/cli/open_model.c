/* floor 5.4 - open model: the model or the tokenizer that MODEL names. */
#include "open_model.h"

#include "lora_flag.h"
#include "threads.h"
#include "vocabulary_meta.h"
#include "warn_model.h"

#include <string.h>

bool load_model(const options *parsed, pf_loaded *loaded, pf_error *error) {
    int n_threads = parsed->given[FLAG_THREADS] ? (int)parsed->values[FLAG_THREADS].count
                                                : pf_threads_default();
    lora_files lora;
    if (!lora_files_read(parsed, &lora, error) ||
        !pf_loaded_open_adapted(parsed->model, lora.sources, lora.n, n_threads, loaded, error))
        return false;
    warn_of_adapter_beside(parsed);
    warn_of_tokenizer(parsed, loaded);
    return true;
}

pf_tokenizer *tokenizer_from_checkpoint(const pf_checkpoint *checkpoint, pf_error *error) {
    pf_vocabulary vocabulary = {0};
    pf_vocabulary_storage storage = {0};
    pf_tokenizer *tokenizer = NULL;
    const char *path = pf_checkpoint_path(checkpoint);
    if (pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, error)) {
        if (vocabulary.n_pieces)
            tokenizer = pf_tokenizer_new(&vocabulary, error);
        else
            pf_fail(error, "%s has no tokenizer; convert it with --tokenizer FILE", path);
    }
    if (!tokenizer && strncmp(error->message, path, strlen(path)) != 0)
        pf_fail(error, "%s: %s", path, error->message);
    pf_vocabulary_storage_free(&storage);
    return tokenizer;
}
