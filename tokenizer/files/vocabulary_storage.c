/* floor 3.1 - vocabulary storage: the memory behind a vocabulary that a reader filled in. */
#include "vocabulary_storage.h"

#include "memory.h"

#include <string.h>

void pf_vocabulary_storage_free(pf_vocabulary_storage *storage) {
    pf_free(storage->pieces);
    pf_free(storage->merges);
    pf_free(storage->patterns);
    pf_free(storage->steps);
    pf_free(storage->text);
    *storage = (pf_vocabulary_storage){0};
}

bool pf_vocabulary_storage_reserve(pf_vocabulary_storage *storage, size_t size, pf_error *error) {
    storage->text = pf_calloc(size, 1, "a vocabulary's text", error);
    storage->text_size = storage->text ? size : 0;
    storage->text_used = 0;
    return storage->text != NULL;
}

const char *pf_vocabulary_storage_text(pf_vocabulary_storage *storage, const char *bytes, size_t n,
                                       pf_error *error) {
    if (n > storage->text_size - storage->text_used) {
        pf_fail(error, "the vocabulary's texts are longer than its file; the file is damaged");
        return NULL;
    }
    char *copy = storage->text + storage->text_used;
    if (n) memcpy(copy, bytes, n);
    storage->text_used += n;
    return copy;
}
