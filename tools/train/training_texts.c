/* floor 5.4 - training texts: the files of `train` as tokens, and what is held out. */
#include "training_texts.h"

#include "memory.h"

#include <string.h>

bool training_texts_read(const options *parsed, training_texts *texts, pf_error *error) {
    const char *paths[OPTIONS_MAX_REPEATS];
    size_t n = options_repeats(parsed, FLAG_TRAIN_FILE, paths);
    for (size_t i = 0; i < n; i++) {
        char *bytes = NULL;
        size_t size = 0;
        if (!input_read(paths[i], &bytes, &size, error)) return false;
        texts->files[texts->n_files++] = (pf_slice){(const uint8_t *)bytes, size};
        if (size == 0) return pf_fail(error, "%s contains no text", paths[i]);
    }
    return true;
}

/* ---- pieces ---- */

typedef struct piece {
    const char *bytes;
    size_t n;
} piece;

static bool is_white(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static piece strip(const char *bytes, size_t n) {
    while (n > 0 && is_white(bytes[n - 1])) n--;
    while (n > 0 && is_white(*bytes)) bytes++, n--;
    return (piece){bytes, n};
}

/* The next piece that is not blank, from *at on, which moves past it. False at the end. */
static bool next_piece(pf_slice file, const char *mark, size_t *at, piece *next) {
    const char *bytes = (const char *)file.data;
    size_t length = strlen(mark);
    while (*at < file.size) {
        size_t begin = *at, end = begin;
        while (end < file.size &&
               !(length > 0 && file.size - end >= length && !memcmp(bytes + end, mark, length)))
            end++;
        *at = end < file.size ? end + length : end;
        *next = strip(bytes + begin, end - begin);
        if (next->n > 0) return true;
    }
    return false;
}

static size_t count_pieces(const training_texts *texts, const char *mark) {
    size_t n = 0;
    piece next;
    for (size_t i = 0; i < texts->n_files; i++)
        for (size_t at = 0; next_piece(texts->files[i], mark, &at, &next);) n++;
    return n;
}

static bool encode(const pf_loaded *loaded, piece p, pf_tokens *ids, pf_error *error) {
    const pf_vocabulary *v = pf_tokenizer_vocabulary(loaded->tokenizer);
    if (!pf_tokenizer_encode(loaded->tokenizer, p.bytes, p.n, PF_ENCODE_BOS | PF_ENCODE_SPECIAL,
                             ids, error))
        return false;
    return v->add_bos || v->add_eos || v->eos < 0 || pf_tokens_push(ids, v->eos, error);
}

/* ---- held out ---- */

static bool add_block(const int32_t *ids, size_t n, input_texts *held, pf_error *error) {
    pf_tokens *block = input_texts_add(held, error);
    for (size_t i = 0; block && i < n; i++)
        if (!pf_tokens_push(block, ids[i], error)) return false;
    return block != NULL;
}

/* Whole blocks; a shorter one only if there is no other. */
static bool cut(const pf_tokens *ids, size_t context, input_texts *held, pf_error *error) {
    size_t at = 0;
    for (; at + context + 1 <= ids->count; at += context)
        if (!add_block(ids->ids + at, context + 1, held, error)) return false;
    return at > 0 || ids->count < 2 || add_block(ids->ids, ids->count, held, error);
}

/* The last 1 / share of the tokens from `first` on move to `held`. */
static bool hold_end(pf_tokens *train, size_t first, size_t share, pf_tokens *held,
                     pf_error *error) {
    size_t keep = train->count - (train->count - first) / share;
    for (size_t i = keep; i < train->count; i++)
        if (!pf_tokens_push(held, train->ids[i], error)) return false;
    train->count = keep;
    return true;
}

static bool encode_files(const pf_loaded *loaded, const char *mark, size_t share,
                         training_texts *texts, pf_tokens *held, pf_error *error) {
    bool by_piece = share > 0 && texts->n_pieces >= share;
    size_t number = 0;
    for (size_t i = 0; i < texts->n_files; i++) {
        size_t first = texts->train.count;
        piece next;
        for (size_t at = 0; next_piece(texts->files[i], mark, &at, &next); number++) {
            bool hold = by_piece && number % share == 0;
            if (!encode(loaded, next, hold ? held : &texts->train, error)) return false;
            texts->n_held += hold;
        }
        if (share > 0 && !by_piece && !hold_end(&texts->train, first, share, held, error))
            return false;
    }
    return true;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* --validation: lines of ids as they are, or a text. */
static bool read_validation(const char *path, const char *mark, const pf_loaded *loaded,
                            size_t context, input_texts *held, pf_error *error) {
    pf_tokens ids = {0};
    input_texts lines = {0};
    char *bytes = NULL;
    size_t n = 0;
    bool good;
    if (ends_with(path, ".jsonl")) {
        good = input_read_ids(path, &lines, error);
        for (size_t i = 0; good && i < lines.count; i++)
            good = cut(&lines.texts[i], context, held, error);
    } else {
        piece next;
        good = input_read(path, &bytes, &n, error);
        pf_slice file = {(const uint8_t *)bytes, n};
        for (size_t at = 0; good && next_piece(file, mark, &at, &next);)
            good = encode(loaded, next, &ids, error);
        good = good && cut(&ids, context, held, error);
    }
    input_texts_free(&lines);
    pf_tokens_free(&ids);
    pf_free(bytes);
    size_t n_vocab = loaded->model->n_vocab;
    for (size_t i = 0; good && i < held->count; i++)
        for (size_t j = 0; good && j < held->texts[i].count; j++)
            if (held->texts[i].ids[j] < 0 || (size_t)held->texts[i].ids[j] >= n_vocab)
                good = pf_fail(error, "%s has the id %d, but the vocabulary has %zu pieces", path,
                               held->texts[i].ids[j], n_vocab);
    return good && (held->count > 0 || pf_fail(error, "%s has no text of two tokens", path));
}

bool training_texts_encode(const options *parsed, const pf_loaded *loaded, size_t context,
                           training_texts *texts, pf_error *error) {
    const char *mark = parsed->values[FLAG_TRAIN_SPLIT].text;
    size_t share = (size_t)parsed->values[FLAG_HOLD_OUT].count;
    bool own = parsed->given[FLAG_VALIDATION];
    pf_tokens held = {0};
    if (!loaded->tokenizer) return pf_fail(error, "the model to go on from has no tokenizer");
    texts->n_pieces = count_pieces(texts, mark);
    bool hold = !own || parsed->given[FLAG_HOLD_OUT];
    bool good = encode_files(loaded, mark, hold ? share : 0, texts, &held, error) &&
                (own || cut(&held, context, &texts->held, error));
    pf_tokens_free(&held);
    return good && (!own || read_validation(parsed->values[FLAG_VALIDATION].text, mark, loaded,
                                            context, &texts->held, error));
}

void training_texts_free(training_texts *texts) {
    for (size_t i = 0; i < texts->n_files; i++) pf_free((void *)(uintptr_t)texts->files[i].data);
    pf_tokens_free(&texts->train);
    input_texts_free(&texts->held);
    *texts = (training_texts){0};
}
