/* floor 3.1 - vocabulary copy: a vocabulary with all that it points to. */
#include "vocabulary_copy.h"

#include "memory.h"

#include <string.h>

static bool add(size_t *sum, size_t size) {
    if (size > SIZE_MAX / 2 - *sum) return false;
    *sum += size;
    return true;
}

/* The bytes of everything; false if that is more than there can be. */
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

/* Copies the bytes to *text, which moves on. */
static const char *copy_bytes(const char *bytes, size_t n, char **text) {
    char *copy = *text;
    if (n) memcpy(copy, bytes, n);
    *text += n;
    return copy;
}

static pf_piece *copy_pieces(const pf_piece *pieces, size_t count, char **text, pf_error *error) {
    pf_piece *copies = pf_calloc(count, sizeof *copies, "the vocabulary", error);
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = pieces[i];
        copies[i].bytes = copy_bytes(pieces[i].bytes, pieces[i].size, text);
    }
    return copies;
}

static pf_normal_step *copy_steps(const pf_normal_step *steps, size_t count, char **text,
                                  pf_error *error) {
    pf_normal_step *copies = pf_calloc(count, sizeof *copies, "the vocabulary", error);
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = steps[i];
        copies[i].from = copy_bytes(steps[i].from, steps[i].from_size, text);
        copies[i].to = copy_bytes(steps[i].to, steps[i].to_size, text);
    }
    return copies;
}

bool pf_vocabulary_copy_new(pf_vocabulary_copy *copy, const pf_vocabulary *source,
                            pf_vocabulary *vocabulary, pf_error *error) {
    *copy = (pf_vocabulary_copy){.text_size = 1};
    if (!total_size(source, &copy->text_size))
        return pf_fail(error, "the vocabulary's pieces are longer than memory");
    char *text = copy->text = pf_calloc(copy->text_size, 1, "the vocabulary's text", error);
    if (!text) return false;
    copy->pieces = copy_pieces(source->pieces, source->n_pieces, &text, error);
    copy->merges = copy_pieces(source->merges, source->n_merges, &text, error);
    copy->patterns = copy_pieces(source->patterns, source->n_patterns, &text, error);
    copy->steps = copy_steps(source->normal_steps, source->n_normal_steps, &text, error);
    if (!copy->pieces || !copy->merges || !copy->patterns || !copy->steps) {
        pf_vocabulary_copy_free(copy);
        return false;
    }
    *vocabulary = *source;
    vocabulary->pieces = copy->pieces;
    vocabulary->merges = copy->merges;
    vocabulary->patterns = copy->patterns;
    vocabulary->normal_steps = copy->steps;
    return true;
}

void pf_vocabulary_copy_free(pf_vocabulary_copy *copy) {
    pf_free(copy->pieces);
    pf_free(copy->merges);
    pf_free(copy->patterns);
    pf_free(copy->steps);
    pf_free(copy->text);
    *copy = (pf_vocabulary_copy){0};
}
