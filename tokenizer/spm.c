/* floor 3.3 - SentencePiece BPE: characters, merged by score. */
#include "spm.h"

#include "merge.h"
#include "sentencepiece.h"
#include "utf8.h"

#include <string.h>

typedef struct merge_context {
    const pf_tokenizer *tokenizer;
    const char *text;
} merge_context;

/* An integer that is smaller the higher the score is. The bits of a positive float, read as an
 * integer, have the order of the floats; those of a negative one have the opposite order. */
static uint32_t rank_of_score(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 ranks like 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static bool is_symbol(const pf_tokenizer *tokenizer, const pf_symbol *symbol) {
    return symbol->id >= 0 && tokenizer->pieces[symbol->id].in_words;
}

/* Neighbours merge if their bytes together are a piece; the highest score merges first. */
static uint32_t find_piece(const void *context, const pf_symbol *left, const pf_symbol *right,
                           int32_t *id) {
    const merge_context *c = context;
    size_t size = (size_t)left->size + right->size;
    if (is_symbol(c->tokenizer, left) || is_symbol(c->tokenizer, right)) return PF_NO_MERGE;
    if (size > c->tokenizer->longest_piece) return PF_NO_MERGE;
    *id = pf_piece_find(&c->tokenizer->map, c->text + left->begin, size);
    return *id < 0 ? PF_NO_MERGE : rank_of_score(c->tokenizer->pieces[*id].score);
}

/* One symbol per character, per byte that is not valid UTF-8, and per user-defined symbol. */
static bool add_characters(pf_merge *merge, const pf_tokenizer *tokenizer, const char *text,
                           size_t n, pf_error *error) {
    for (size_t i = 0; i < n;) {
        size_t size;
        int32_t id = pf_trie_longest(&tokenizer->symbols, text + i, n - i, &size);
        if (id < 0) {
            pf_utf8 character = pf_utf8_next(text + i, n - i);
            size = character.valid ? character.size : 1;
            id = pf_piece_find(&tokenizer->map, text + i, size);
        }
        if (!pf_merge_add(merge, i, size, id, error)) return false;
        i += size;
    }
    return true;
}

static bool push_symbols(const pf_merge *merge, const pf_tokenizer *tokenizer, const char *text,
                         pf_tokens *tokens, pf_error *error) {
    bool in_unknown = false;
    for (uint32_t i = merge->n_symbols ? 0 : PF_NO_SYMBOL; i != PF_NO_SYMBOL;
         i = merge->symbols[i].next) {
        const pf_symbol *symbol = &merge->symbols[i];
        if (symbol->id < 0) {
            if (!pf_sentencepiece_unknown(&tokenizer->vocabulary, tokenizer->byte_ids,
                                          text + symbol->begin, symbol->size, &in_unknown, tokens,
                                          error))
                return false;
        } else {
            in_unknown = false;
            if (!pf_tokens_push(tokens, symbol->id, error)) return false;
        }
    }
    return true;
}

bool pf_spm_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                   pf_error *error) {
    pf_merge merge = {0};
    merge_context context = {tokenizer, text};
    bool ok = add_characters(&merge, tokenizer, text, n, error) &&
              pf_merge_run(&merge, find_piece, &context, error) &&
              push_symbols(&merge, tokenizer, text, tokens, error);
    pf_merge_free(&merge);
    return ok;
}
