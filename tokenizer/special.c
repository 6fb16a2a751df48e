/* floor 3.3 - special tokens: finds control and user-defined tokens in a text. */
#include "special.h"

static bool is_special(const pf_piece *piece) {
    return piece->size && (piece->type == PF_TOKEN_CONTROL || piece->type == PF_TOKEN_UNKNOWN ||
                           piece->type == PF_TOKEN_USER_DEFINED);
}

bool pf_special_init(pf_tokenizer *tokenizer, pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces, bytes = 0;
    for (size_t id = 0; id < n; id++)
        if (is_special(&tokenizer->pieces[id])) bytes += tokenizer->pieces[id].size;
    if (!pf_trie_new(&tokenizer->special, bytes, error)) return false;
    for (size_t id = 0; id < n; id++)
        if (is_special(&tokenizer->pieces[id]) &&
            !pf_trie_add(&tokenizer->special, tokenizer->pieces[id].bytes,
                         tokenizer->pieces[id].size, (int32_t)id, error))
            return false;
    return true;
}

/* The longest special token that text [n bytes] starts with, -1 if there is none. */
static int32_t longest_at(const pf_tokenizer *tokenizer, const char *text, size_t n, bool control) {
    int32_t longest = -1;
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        node = pf_trie_step(&tokenizer->special, node, (uint8_t)text[i]);
        if (!node) break;
        int32_t id = tokenizer->special.nodes[node].id;
        if (id >= 0 && (control || tokenizer->pieces[id].type == PF_TOKEN_USER_DEFINED))
            longest = id;
    }
    return longest;
}

static bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

pf_special_match pf_special_find(const pf_tokenizer *tokenizer, const char *text, size_t n,
                                 size_t from, bool control) {
    for (size_t i = from; i < n; i++) {
        if (!tokenizer->special.first[(uint8_t)text[i]]) continue;
        int32_t id = longest_at(tokenizer, text + i, n - i, control);
        if (id < 0) continue;
        const pf_piece *piece = &tokenizer->pieces[id];
        pf_special_match match = {.id = id, .begin = i, .end = i + piece->size};
        while (piece->strip_left && match.begin > from && is_white(text[match.begin - 1]))
            match.begin--;
        while (piece->strip_right && match.end < n && is_white(text[match.end])) match.end++;
        return match;
    }
    return (pf_special_match){.id = -1, .begin = n, .end = n};
}
