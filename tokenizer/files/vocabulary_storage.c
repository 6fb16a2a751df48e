/* floor 3.1 - vocabulary storage: the memory that a vocabulary points into. */
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
    storage->text = pf_calloc(size, 1, "the vocabulary's text", error);
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

/* ---- copying a vocabulary ---- */

static bool add(size_t *sum, size_t size) {
    if (size > SIZE_MAX / 2 - *sum) return false;
    *sum += size;
    return true;
}

/* Adds up the bytes of all texts; false if the sum is more than memory can hold. */
static bool total_size(const pf_vocabulary *source, size_t *sum) {
    const pf_piece *lists[] = {source->pieces, source->merges, source->patterns};
    const size_t counts[] = {source->n_pieces, source->n_merges, source->n_patterns};
    for (size_t list = 0; list < 3; list++)
        for (size_t i = 0; i < counts[list]; i++)
            if (!add(sum, lists[list][i].size)) return false;
    for (size_t i = 0; i < source->n_normal_steps; i++)
        if (!add(sum, source->normal_steps[i].from_size) ||
            !add(sum, source->normal_steps[i].to_size))
            return false;
    return true;
}

/* The room for all texts is reserved, so copying one cannot fail. */
static pf_piece *copy_pieces(const pf_piece *pieces, size_t count, pf_vocabulary_storage *storage,
                             pf_error *error) {
    pf_piece *copies = pf_calloc(count, sizeof *copies, "the vocabulary", error);
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = pieces[i];
        copies[i].bytes =
            pf_vocabulary_storage_text(storage, pieces[i].bytes, pieces[i].size, error);
    }
    return copies;
}

static pf_normal_step *copy_steps(const pf_normal_step *steps, size_t count,
                                  pf_vocabulary_storage *storage, pf_error *error) {
    pf_normal_step *copies = pf_calloc(count, sizeof *copies, "the vocabulary", error);
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = steps[i];
        copies[i].from =
            pf_vocabulary_storage_text(storage, steps[i].from, steps[i].from_size, error);
        copies[i].to = pf_vocabulary_storage_text(storage, steps[i].to, steps[i].to_size, error);
    }
    return copies;
}

bool pf_vocabulary_copy(const pf_vocabulary *source, pf_vocabulary *copy,
                        pf_vocabulary_storage *storage, pf_error *error) {
    size_t size = 0;
    if (!total_size(source, &size))
        return pf_fail(error, "the vocabulary's pieces are longer than memory");
    if (!pf_vocabulary_storage_reserve(storage, size, error)) return false;
    *copy = *source;
    copy->pieces = storage->pieces = copy_pieces(source->pieces, source->n_pieces, storage, error);
    copy->merges = storage->merges = copy_pieces(source->merges, source->n_merges, storage, error);
    copy->patterns = storage->patterns =
        copy_pieces(source->patterns, source->n_patterns, storage, error);
    copy->normal_steps = storage->steps =
        copy_steps(source->normal_steps, source->n_normal_steps, storage, error);
    return copy->pieces && copy->merges && copy->patterns && copy->normal_steps;
}
