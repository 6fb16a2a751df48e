/* floor 3.1 - vocabulary storage: the memory behind a vocabulary that a reader filled in. */
#include "vocabulary_storage.h"

#include "memory.h"

void pf_vocabulary_storage_free(pf_vocabulary_storage *storage) {
    pf_free(storage->pieces);
    pf_free(storage->merges);
    pf_free(storage->text);
    *storage = (pf_vocabulary_storage){0};
}
