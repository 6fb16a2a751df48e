/* floor 3.4 - BPE learning: a byte-level vocabulary from texts. */
#include "bpe_learn.h"

#include "bpe.h"
#include "buffer.h"
#include "memory.h"
#include "pair_counts.h"
#include "pretokenizer.h"

#include <string.h>

static const char end_of_text[] = "<|endoftext|>";
#define END_SIZE (sizeof end_of_text - 1)

/* ---- the different words of the texts ---- */

typedef struct word {
    const char *bytes; /* in a text */
    size_t size;
} word;

typedef struct word_counts {
    word *words;     /* [n] in the order of the texts */
    uint64_t *count; /* [n] */
    size_t n, words_capacity, count_capacity, n_bytes;
    pf_map map;
} word_counts;

static void word_counts_free(word_counts *w) {
    pf_map_free(&w->map);
    pf_free(w->words);
    pf_free(w->count);
}

static bool count_word(void *context, const char *bytes, size_t n, pf_error *error) {
    word_counts *w = context;
    size_t index;
    if (n < 2) return true; /* no pairs in it */
    if (pf_map_get(&w->map, bytes, n, &index)) {
        w->count[index]++;
        return true;
    }
    word *words =
        pf_grow(w->words, &w->words_capacity, w->n + 1, sizeof *words, "a list of words", error);
    if (!words) return false;
    w->words = words;
    uint64_t *count =
        pf_grow(w->count, &w->count_capacity, w->n + 1, sizeof *count, "a list of words", error);
    if (!count) return false;
    w->count = count;
    if (!pf_map_put(&w->map, bytes, n, w->n, error)) return false;
    words[w->n] = (word){bytes, n};
    count[w->n++] = 1;
    w->n_bytes += n;
    return true;
}

/* The bytes of text [n] before <|endoftext|>, or all. */
static size_t document_size(const char *text, size_t n) {
    for (const char *at = text; (at = memchr(at, '<', n - (size_t)(at - text))); at++) {
        size_t left = n - (size_t)(at - text);
        if (left >= END_SIZE && memcmp(at, end_of_text, END_SIZE) == 0) return n - left;
    }
    return n;
}

static bool count_words(word_counts *w, const pf_slice *texts, size_t n_texts, pf_error *error) {
    pf_pretokenizer *pretokenizer = pf_pretokenizer_new("gpt-2", NULL, 0, error);
    bool ok = pretokenizer != NULL;
    for (size_t i = 0; ok && i < n_texts; i++) {
        const char *text = (const char *)texts[i].data;
        for (size_t at = 0; ok && at < texts[i].size;) {
            size_t size = document_size(text + at, texts[i].size - at);
            ok = pf_pretokenizer_split(pretokenizer, text + at, size, count_word, w, error);
            at += size + END_SIZE;
        }
    }
    pf_pretokenizer_free(pretokenizer);
    if (ok && w->n_bytes > PF_PAIR_BYTES)
        ok = pf_fail(error,
                     "the texts have %zu bytes of different words; give a part of them: a "
                     "vocabulary can be learned from %zu",
                     w->n_bytes, PF_PAIR_BYTES);
    return ok;
}

/* ---- merges ---- */

/* ids [256]: by byte, in the order of the characters that pieces write them as. */
static void byte_ids(int32_t *ids) {
    char characters[256][4] = {{0}};
    for (int byte = 0; byte < 256; byte++) {
        char value = (char)byte;
        pf_bpe_encode_piece(&value, 1, characters[byte]);
    }
    for (int byte = 0; byte < 256; byte++) {
        ids[byte] = 1; /* after <|endoftext|> */
        for (int other = 0; other < 256; other++)
            ids[byte] += memcmp(characters[other], characters[byte], 4) < 0;
    }
}

/* Merges until there are n_pieces pieces; pairs [*n_merges] are what became the ids from
 * PF_BPE_LEAST on. */
static bool learn_merges(const word_counts *w, const int32_t *ids, size_t n_pieces, pf_pair *pairs,
                         size_t *n_merges, pf_error *error) {
    pf_pair_counts counts = {0};
    bool ok = pf_pair_counts_new(&counts, w->n_bytes, w->count, n_pieces, PF_BPE_LONGEST, error);
    for (size_t i = 0; ok && i < w->n; i++)
        ok = pf_pair_counts_add(&counts, (uint32_t)i, (const uint8_t *)w->words[i].bytes,
                                w->words[i].size, ids, error);
    for (*n_merges = 0; ok && PF_BPE_LEAST + *n_merges < n_pieces; ++*n_merges) {
        pf_pair *pair = &pairs[*n_merges];
        ok = pf_pair_counts_merge(&counts, (int32_t)(PF_BPE_LEAST + *n_merges), pair, error);
        if (ok && pair->count == 0) break;
    }
    pf_pair_counts_free(&counts);
    return ok;
}

/* ---- the vocabulary ---- */

static void set_piece(pf_vocabulary_storage *storage, int32_t id, const char *bytes, size_t size,
                      pf_token_type type) {
    storage->pieces[id] = (pf_piece){.bytes = bytes, .size = size, .type = type};
}

/* Writes "left right" to the storage's text, or without `between` the piece that they become. */
static const char *join(pf_vocabulary_storage *storage, const pf_pair *pair, bool between,
                        size_t *size) {
    const pf_piece *left = &storage->pieces[pair->left], *right = &storage->pieces[pair->right];
    char *text = storage->text + storage->text_used;
    *size = left->size + between + right->size;
    memcpy(text, left->bytes, left->size);
    if (between) text[left->size] = ' ';
    memcpy(text + left->size + between, right->bytes, right->size);
    storage->text_used += *size;
    return text;
}

/* Bytes of all texts of the vocabulary: a piece writes a byte as one or two. */
static bool reserve_text(pf_vocabulary_storage *storage, const pf_pair *pairs, size_t n_merges,
                         pf_error *error) {
    size_t n_ids = PF_BPE_LEAST + n_merges, total = END_SIZE + 2 * 256;
    uint32_t *lengths = pf_calloc(n_ids, sizeof *lengths, "a vocabulary", error);
    if (!lengths) return false;
    for (size_t id = 1; id < PF_BPE_LEAST; id++) lengths[id] = 2;
    for (size_t i = 0; i < n_merges; i++) {
        uint32_t length = lengths[pairs[i].left] + lengths[pairs[i].right];
        lengths[PF_BPE_LEAST + i] = length;
        total += 2 * (size_t)length + 1; /* the piece, and its merge */
    }
    pf_free(lengths);
    storage->pieces = pf_calloc(n_ids, sizeof *storage->pieces, "a vocabulary", error);
    storage->merges = pf_calloc(n_merges, sizeof *storage->merges, "a vocabulary", error);
    return storage->pieces && storage->merges &&
           pf_vocabulary_storage_reserve(storage, total, error);
}

static bool make_vocabulary(const int32_t *ids, const pf_pair *pairs, size_t n_merges,
                            pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                            pf_error *error) {
    if (!reserve_text(storage, pairs, n_merges, error)) return false;
    const char *end = pf_vocabulary_storage_text(storage, end_of_text, END_SIZE, error);
    set_piece(storage, 0, end, END_SIZE, PF_TOKEN_CONTROL);
    for (int byte = 0; byte < 256; byte++) {
        char value = (char)byte, *character = storage->text + storage->text_used;
        size_t size = pf_bpe_encode_piece(&value, 1, character);
        storage->text_used += size;
        set_piece(storage, ids[byte], character, size, PF_TOKEN_NORMAL);
    }
    for (size_t i = 0; i < n_merges; i++) {
        size_t size;
        const char *text = join(storage, &pairs[i], true, &size);
        storage->merges[i] = (pf_piece){.bytes = text, .size = size};
        text = join(storage, &pairs[i], false, &size);
        set_piece(storage, (int32_t)(PF_BPE_LEAST + i), text, size, PF_TOKEN_NORMAL);
    }
    *vocabulary = (pf_vocabulary){.kind = PF_TOKENIZER_BPE,
                                  .pieces = storage->pieces,
                                  .n_pieces = PF_BPE_LEAST + n_merges,
                                  .merges = storage->merges,
                                  .n_merges = n_merges,
                                  .pre = "gpt-2",
                                  .bos = 0,
                                  .eos = 0,
                                  .unk = -1,
                                  .eot = -1,
                                  .add_bos = true};
    return true;
}

bool pf_bpe_learn(const pf_slice *texts, size_t n_texts, size_t n_pieces, pf_vocabulary *vocabulary,
                  pf_vocabulary_storage *storage, pf_error *error) {
    if (n_pieces < PF_BPE_LEAST || n_pieces > INT32_MAX)
        return pf_fail(error,
                       "a vocabulary of %zu pieces cannot be learned; it has at least %d: a piece "
                       "per byte and %s",
                       n_pieces, PF_BPE_LEAST, end_of_text);
    int32_t ids[256];
    byte_ids(ids);
    word_counts w = {0};
    size_t n_merges = 0;
    pf_pair *pairs = NULL;
    bool ok = count_words(&w, texts, n_texts, error);
    if (ok) {
        pairs = pf_calloc(n_pieces - PF_BPE_LEAST, sizeof *pairs, "a vocabulary", error);
        ok = pairs && learn_merges(&w, ids, n_pieces, pairs, &n_merges, error) &&
             make_vocabulary(ids, pairs, n_merges, vocabulary, storage, error);
    }
    pf_free(pairs);
    word_counts_free(&w);
    return ok;
}
