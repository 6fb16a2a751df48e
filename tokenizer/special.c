/* floor 3.3 - special tokens: finds control and user-defined tokens in a text. */
#include "special.h"

#include "memory.h"
#include "normalize.h"
#include "sentencepiece.h"
#include "utf8.h"

typedef enum { RAW, NORMALIZED, SYMBOL, NONE } place; /* where a piece is looked for */

static place place_of(const pf_piece *piece) {
    if (!piece->size) return NONE;
    if (piece->type == PF_TOKEN_USER_DEFINED && piece->in_words) return SYMBOL;
    if (piece->type != PF_TOKEN_CONTROL && piece->type != PF_TOKEN_UNKNOWN &&
        piece->type != PF_TOKEN_USER_DEFINED)
        return NONE;
    return piece->normalized ? NORMALIZED : RAW;
}

static bool index_place(const pf_tokenizer *tokenizer, place where, pf_trie *trie,
                        pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces, bytes = 0;
    for (size_t id = 0; id < n; id++)
        if (place_of(&tokenizer->pieces[id]) == where) bytes += tokenizer->pieces[id].size;
    if (!pf_trie_new(trie, bytes, error)) return false;
    for (size_t id = 0; id < n; id++)
        if (place_of(&tokenizer->pieces[id]) == where &&
            !pf_trie_add(trie, tokenizer->pieces[id].bytes, tokenizer->pieces[id].size, (int32_t)id,
                         error))
            return false;
    return true;
}

/* ---- tokens in normalised text ---- */

bool pf_special_prepared_first(const pf_vocabulary *vocabulary) {
    return vocabulary->kind != PF_TOKENIZER_BPE && !vocabulary->prefix_if_none;
}

/* The piece as the normaliser writes it; free *text with pf_free. */
static bool normalise_piece(const pf_vocabulary *vocabulary, const pf_piece *piece, char **text,
                            size_t *size, pf_error *error) {
    char *steps = NULL;
    if (!pf_normalize(vocabulary->normal_steps, vocabulary->n_normal_steps, piece->bytes,
                      piece->size, &steps, size, error))
        return false;
    *text = steps;
    if (!pf_special_prepared_first(vocabulary)) return true;
    bool good = pf_sentencepiece_prepare(vocabulary, steps, *size, true, text, size, error);
    pf_free(steps);
    return good;
}

typedef struct {
    char *bytes;
    size_t size;
    int32_t id;
} normal_piece;

static bool index_normalized(pf_tokenizer *tokenizer, normal_piece *list, size_t count,
                             pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces, used = 0, bytes = 0;
    for (size_t id = 0; id < n; id++) {
        const pf_piece *piece = &tokenizer->pieces[id];
        if (place_of(piece) != NORMALIZED) continue;
        normal_piece *one = &list[used++];
        one->id = (int32_t)id;
        if (!normalise_piece(&tokenizer->vocabulary, piece, &one->bytes, &one->size, error))
            return false;
        bytes += one->size;
    }
    if (!pf_trie_new(&tokenizer->normalized, bytes, error)) return false;
    for (size_t i = 0; i < count; i++)
        if (list[i].size &&
            !pf_trie_add(&tokenizer->normalized, list[i].bytes, list[i].size, list[i].id, error))
            return false;
    return true;
}

bool pf_special_init(pf_tokenizer *tokenizer, pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces, count = 0;
    for (size_t id = 0; id < n; id++) count += place_of(&tokenizer->pieces[id]) == NORMALIZED;
    if (!index_place(tokenizer, RAW, &tokenizer->special, error) ||
        !index_place(tokenizer, SYMBOL, &tokenizer->symbols, error))
        return false;
    normal_piece *list = pf_calloc(count, sizeof *list, "the special tokens", error);
    bool good = list && index_normalized(tokenizer, list, count, error);
    for (size_t i = 0; list && i < count; i++) pf_free(list[i].bytes);
    pf_free(list);
    return good;
}

/* ---- finding ---- */

/* The longest special token that text [n bytes] starts with, and its length; -1: none. */
static int32_t longest_at(const pf_tokenizer *tokenizer, const pf_trie *trie, const char *text,
                          size_t n, bool control, size_t *size) {
    int32_t longest = -1;
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        node = pf_trie_step(trie, node, (uint8_t)text[i]);
        if (!node) break;
        int32_t id = trie->nodes[node].id;
        if (id < 0 || (!control && tokenizer->pieces[id].type != PF_TOKEN_USER_DEFINED)) continue;
        longest = id;
        *size = i + 1;
    }
    return longest;
}

/* Unicode's White_Space, as tokenizers strips it. */
static bool is_white(pf_utf8 c) {
    return c.valid &&
           ((c.code >= '\t' && c.code <= '\r') || c.code == ' ' || c.code == 0x85 ||
            c.code == 0xA0 || c.code == 0x1680 || (c.code >= 0x2000 && c.code <= 0x200A) ||
            c.code == 0x2028 || c.code == 0x2029 || c.code == 0x202F || c.code == 0x205F ||
            c.code == 0x3000);
}

/* The size of the white space character that ends before byte `at`, 0 if it is none. */
static size_t white_before(const char *text, size_t from, size_t at) {
    for (size_t size = 1; size <= 3 && size <= at - from; size++) {
        pf_utf8 c = pf_utf8_next(text + at - size, size);
        if (c.size == size && is_white(c)) return size;
    }
    return 0;
}

static size_t white_after(const char *text, size_t n, size_t at) {
    pf_utf8 c = at < n ? pf_utf8_next(text + at, n - at) : (pf_utf8){0};
    return is_white(c) ? c.size : 0;
}

static pf_special_match find(const pf_tokenizer *tokenizer, const pf_trie *trie, const char *text,
                             size_t n, size_t from, bool control) {
    for (size_t i = from; i < n && !pf_trie_is_empty(trie); i++) {
        size_t size = 0, white;
        if (!trie->first[(uint8_t)text[i]]) continue;
        int32_t id = longest_at(tokenizer, trie, text + i, n - i, control, &size);
        if (id < 0) continue;
        const pf_piece *piece = &tokenizer->pieces[id];
        pf_special_match match = {.id = id, .begin = i, .end = i + size};
        while (piece->strip_left && (white = white_before(text, from, match.begin)) > 0)
            match.begin -= white;
        while (piece->strip_right && (white = white_after(text, n, match.end)) > 0)
            match.end += white;
        return match;
    }
    return (pf_special_match){.id = -1, .begin = n, .end = n};
}

pf_special_match pf_special_find(const pf_tokenizer *tokenizer, const char *text, size_t n,
                                 size_t from, bool control) {
    return find(tokenizer, &tokenizer->special, text, n, from, control);
}

pf_special_match pf_special_find_normalized(const pf_tokenizer *tokenizer, const char *text,
                                            size_t n, size_t from, bool control) {
    return find(tokenizer, &tokenizer->normalized, text, n, from, control);
}
