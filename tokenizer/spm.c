/* floor 3.3 - SentencePiece BPE: characters, merged by score. */
#include "spm.h"

#include "memory.h"
#include "merge.h"
#include "utf8.h"

#include <string.h>

static const char escaped_space[] = "\xE2\x96\x81"; /* U+2581, lower one eighth block */

typedef struct writer {
    char *bytes;
    size_t n;
    bool escape;
} writer;

static void put_space(writer *out) {
    size_t n = out->escape ? 3 : 1;
    memcpy(out->bytes + out->n, out->escape ? escaped_space : " ", n);
    out->n += n;
}

bool pf_spm_prepare(const pf_vocabulary *vocabulary, const char *text, size_t n, bool prefix,
                    char **result, size_t *result_size, pf_error *error) {
    bool collapse = vocabulary->remove_extra_whitespaces;
    while (collapse && n && text[0] == ' ') text++, n--;
    while (collapse && n && text[n - 1] == ' ') n--;

    writer out = {.escape = vocabulary->escape_whitespaces};
    out.bytes = pf_calloc(n + 1, out.escape ? 3 : 1, "the text to tokenize", error);
    if (!out.bytes) return false;
    if (n && prefix && vocabulary->add_space_prefix) put_space(&out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] != ' ')
            out.bytes[out.n++] = text[i];
        else if (!collapse || text[i - 1] != ' ') /* trimmed: a space is never the first */
            put_space(&out);
    }
    *result = out.bytes;
    *result_size = out.n;
    return true;
}

bool pf_spm_push_unknown(const pf_tokenizer *tokenizer, const char *bytes, size_t n,
                         bool *in_unknown, pf_tokens *tokens, pf_error *error) {
    const pf_vocabulary *vocabulary = &tokenizer->vocabulary;
    bool fallback = vocabulary->byte_fallback;
    for (size_t i = 0; i < n && fallback; i++)
        fallback = tokenizer->byte_ids[(uint8_t)bytes[i]] >= 0;
    if (fallback) {
        *in_unknown = false;
        for (size_t i = 0; i < n; i++)
            if (!pf_tokens_push(tokens, tokenizer->byte_ids[(uint8_t)bytes[i]], error)) return false;
        return true;
    }
    if (*in_unknown) return true;
    *in_unknown = true;
    if (vocabulary->unk < 0)
        return pf_fail(error,
                       "the vocabulary has no piece for the character '%.*s', no <0xNN> pieces and "
                       "no <unk>: leave the character out", (int)n, bytes);
    return pf_tokens_push(tokens, vocabulary->unk, error);
}

typedef struct merge_context {
    const pf_tokenizer *tokenizer;
    const char *text;
} merge_context;

/* Floats as integers of the opposite order: the bits of a float are ordered like an integer's, apart
 * from the sign. */
static uint32_t rank_of_score(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 ranks like 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

/* Neighbours merge if their bytes together are a piece; the highest score goes first. */
static uint32_t find_piece(const void *context, const pf_symbol *left, const pf_symbol *right,
                           int32_t *id) {
    const merge_context *c = context;
    size_t size = (size_t)left->size + right->size;
    if (size > c->tokenizer->longest_piece) return PF_NO_MERGE;
    *id = pf_piece_map_find(&c->tokenizer->map, c->text + left->begin, size);
    return *id < 0 ? PF_NO_MERGE : rank_of_score(c->tokenizer->pieces[*id].score);
}

/* One symbol per character; bytes that are no UTF-8 are symbols of their own. */
static bool add_characters(pf_merge *merge, const pf_tokenizer *tokenizer, const char *text,
                           size_t n, pf_error *error) {
    for (size_t i = 0; i < n;) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        size_t size = character.valid ? character.size : 1;
        int32_t id = pf_piece_map_find(&tokenizer->map, text + i, size);
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
            if (!pf_spm_push_unknown(tokenizer, text + symbol->begin, symbol->size, &in_unknown,
                                     tokens, error))
                return false;
        } else {
            in_unknown = false;
            if (!pf_tokens_push(tokens, symbol->id, error)) return false;
        }
    }
    return true;
}

bool pf_spm_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, bool prefix,
                   pf_tokens *tokens, pf_error *error) {
    char *prepared = NULL;
    size_t size = 0;
    if (!pf_spm_prepare(&tokenizer->vocabulary, text, n, prefix, &prepared, &size, error))
        return false;
    pf_merge merge = {0};
    merge_context context = {tokenizer, prepared};
    bool ok = add_characters(&merge, tokenizer, prepared, size, error) &&
              pf_merge_run(&merge, find_piece, &context, error) &&
              push_symbols(&merge, tokenizer, prepared, tokens, error);
    pf_merge_free(&merge);
    pf_free(prepared);
    return ok;
}
