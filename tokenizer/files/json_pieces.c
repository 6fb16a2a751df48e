/* floor 3.2 - JSON pieces: reads the vocabulary of a tokenizer.json or vocab.json. */
#include "json_pieces.h"

#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PAD_BYTES 16 /* "[PAD4294967295]" */

/* The number of ids: one more than the largest. A file with far more ids than pieces is refused. */
static bool count_ids(const json_t *vocab, const json_t *added, size_t *count, pf_error *error) {
    const char *text;
    json_t *value;
    size_t index, n = json_array_size(vocab) + json_object_size(vocab) + json_array_size(added);
    json_int_t last = (json_int_t)json_array_size(vocab) - 1;
    json_object_foreach((json_t *)vocab, text, value) {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0)
            return pf_fail(error, "the id of the piece \"%.60s\" is not a number from 0 up", text);
        if (id > last) last = id;
    }
    json_array_foreach((json_t *)added, index, value) {
        const json_t *id = json_object_get(value, "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            !json_is_string(json_object_get(value, "content")))
            return pf_fail(error, "added token %zu lacks an id or its content", index);
        if (json_integer_value(id) > last) last = json_integer_value(id);
    }
    if (last < 0) return pf_fail(error, "the vocabulary has no pieces");
    if ((uint64_t)last >= 4 * (uint64_t)n + 1024 || last >= INT32_MAX)
        return pf_fail(error, "the vocabulary has an id of %lld, but only %zu pieces",
                       (long long)last, n);
    *count = (size_t)last + 1;
    return true;
}

/* "<0x0A>" */
static bool looks_like_byte(const char *text, size_t size) {
    return size == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>';
}

static bool set_piece(pf_piece *piece, const json_t *text, pf_vocabulary_storage *storage,
                      pf_error *error) {
    piece->size = json_string_length(text);
    piece->bytes = pf_vocabulary_storage_text(storage, json_string_value(text), piece->size, error);
    if (!piece->bytes) return false;
    piece->type = looks_like_byte(piece->bytes, piece->size) ? PF_TOKEN_BYTE : PF_TOKEN_NORMAL;
    return true;
}

static bool read_map(const json_t *vocab, pf_vocabulary_storage *storage, pf_error *error) {
    const char *text;
    json_t *id;
    json_object_foreach((json_t *)vocab, text, id) {
        pf_piece *piece = &storage->pieces[json_integer_value(id)];
        if (piece->bytes)
            return pf_fail(error, "the pieces \"%.60s\" and \"%.*s\" have the same id %lld", text,
                           (int)(piece->size < 60 ? piece->size : 60), piece->bytes,
                           (long long)json_integer_value(id));
        piece->size = strlen(text);
        piece->bytes = pf_vocabulary_storage_text(storage, text, piece->size, error);
        if (!piece->bytes) return false;
        piece->type = looks_like_byte(text, piece->size) ? PF_TOKEN_BYTE : PF_TOKEN_NORMAL;
    }
    return true;
}

static bool read_list(const json_t *vocab, pf_vocabulary_storage *storage, pf_error *error) {
    size_t id;
    json_t *pair;
    json_array_foreach((json_t *)vocab, id, pair) {
        const json_t *text = json_array_get(pair, 0), *score = json_array_get(pair, 1);
        double value = json_number_value(score);
        if (!json_is_string(text) || !json_is_number(score) || fabs(value) > 1e30)
            return pf_fail(error, "piece %zu of the vocabulary is not a pair of a text and a score",
                           id);
        if (!set_piece(&storage->pieces[id], text, storage, error)) return false;
        storage->pieces[id].score = (float)value;
    }
    return true;
}

static bool read_added(const json_t *added, pf_vocabulary_storage *storage, pf_error *error) {
    size_t index;
    json_t *token;
    json_array_foreach((json_t *)added, index, token) {
        const json_t *text = json_object_get(token, "content");
        pf_piece *piece = &storage->pieces[json_integer_value(json_object_get(token, "id"))];
        if (json_is_true(json_object_get(token, "single_word")))
            return pf_fail(error,
                           "the added token \"%.60s\" matches whole words only "
                           "(single_word), which is not supported",
                           json_string_value(text));
        if (!set_piece(piece, text, storage, error)) return false;
        piece->type = json_is_true(json_object_get(token, "special")) ? PF_TOKEN_CONTROL
                                                                      : PF_TOKEN_USER_DEFINED;
        piece->strip_left = json_is_true(json_object_get(token, "lstrip"));
        piece->strip_right = json_is_true(json_object_get(token, "rstrip"));
        piece->normalized = json_is_true(json_object_get(token, "normalized"));
    }
    return true;
}

static bool fill_holes(pf_vocabulary_storage *storage, size_t n, pf_error *error) {
    for (size_t id = 0; id < n; id++) {
        char name[PAD_BYTES];
        pf_piece *piece = &storage->pieces[id];
        if (piece->bytes) continue;
        piece->size = (size_t)snprintf(name, sizeof name, "[PAD%u]", (unsigned)id);
        piece->bytes = pf_vocabulary_storage_text(storage, name, piece->size, error);
        piece->type = PF_TOKEN_UNUSED;
        if (!piece->bytes) return false;
    }
    return true;
}

bool pf_json_pieces(const json_t *vocab, const json_t *added, size_t text_bytes,
                    pf_vocabulary *vocabulary, pf_vocabulary_storage *storage, pf_error *error) {
    size_t n = 0;
    if (!json_is_object(vocab) && !json_is_array(vocab))
        return pf_fail(error, "the file has no vocabulary (\"vocab\")");
    if (!count_ids(vocab, added, &n, error)) return false;
    storage->pieces = pf_calloc(n, sizeof *storage->pieces, "a vocabulary", error);
    if (!storage->pieces ||
        !pf_vocabulary_storage_reserve(storage, text_bytes + n * PAD_BYTES, error) ||
        !(json_is_object(vocab) ? read_map(vocab, storage, error)
                                : read_list(vocab, storage, error)) ||
        !read_added(added, storage, error) || !fill_holes(storage, n, error))
        return false;
    vocabulary->pieces = storage->pieces;
    vocabulary->n_pieces = n;
    return true;
}

int32_t pf_json_find_piece(const pf_vocabulary *vocabulary, const char *text) {
    size_t size = text ? strlen(text) : 0;
    for (size_t id = 0; text && id < vocabulary->n_pieces; id++)
        if (vocabulary->pieces[id].size == size &&
            memcmp(vocabulary->pieces[id].bytes, text, size) == 0)
            return (int32_t)id;
    return -1;
}
