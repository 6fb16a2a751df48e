/* floor 3.3 - byte-level BPE: merges the bytes of each word by rank. */
#include "bpe.h"

#include "memory.h"
#include "merge.h"
#include "utf8.h"

#include <string.h>

/* ---- bytes <-> printable characters ----
 * GPT-2 writes its pieces in printable characters only: a byte that is printable in Latin-1 stands
 * for itself; the other 68 are numbered from U+0100, in order. */

static bool is_printable(uint32_t byte) {
    return (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte <= 0xFF && byte != 0xAD);
}

static uint32_t character_of_byte(uint32_t byte) {
    if (is_printable(byte)) return byte;
    if (byte <= 0x20) return 0x100 + byte;
    if (byte <= 0xA0) return 0x121 + byte - 0x7F;
    return 0x143; /* 0xAD, the soft hyphen */
}

/* -1 if the character does not stand for a byte. */
static int byte_of_character(uint32_t code) {
    if (code <= 0xFF) return is_printable(code) ? (int)code : -1;
    if (code <= 0x120) return (int)code - 0x100;
    if (code <= 0x142) return (int)code - 0x121 + 0x7F;
    return code == 0x143 ? 0xAD : -1;
}

size_t pf_bpe_decode_piece(const char *piece, size_t size, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        pf_utf8 character = pf_utf8_next(piece + i, size - i);
        int byte = character.valid ? byte_of_character(character.code) : -1;
        if (byte >= 0) {
            out[n++] = (char)byte;
        } else {
            memcpy(out + n, piece + i, character.size);
            n += character.size;
        }
        i += character.size;
    }
    return n;
}

size_t pf_bpe_encode_piece(const char *bytes, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += pf_utf8_write(character_of_byte((uint8_t)bytes[i]), out + size);
    return size;
}

/* ---- the table of merges ---- */

/* "left right" -> ids; false if a piece is missing. `joined` has room for the merge. */
static bool resolve_merge(const pf_tokenizer *tokenizer, const pf_piece *merge, char *joined,
                          pf_merge_rule *rule) {
    if (merge->size < 3) return false;
    const char *space = memchr(merge->bytes + 1, ' ', merge->size - 1);
    if (!space) return false;
    size_t left = (size_t)(space - merge->bytes), right = merge->size - left - 1;
    memcpy(joined, merge->bytes, left);
    memcpy(joined + left, space + 1, right);
    rule->left = pf_piece_find(&tokenizer->map, joined, left);
    rule->right = pf_piece_find(&tokenizer->map, joined + left, right);
    rule->merged = pf_piece_find(&tokenizer->map, joined, left + right);
    return rule->left >= 0 && rule->right >= 0 && rule->merged >= 0;
}

static bool index_merges(pf_tokenizer *tokenizer, pf_error *error) {
    const pf_piece *merges = tokenizer->vocabulary.merges;
    size_t n = tokenizer->vocabulary.n_merges, longest = 0;
    for (size_t i = 0; i < n; i++)
        if (merges[i].size > longest) longest = merges[i].size;
    char *joined = pf_calloc(longest, 1, "a merge", error);
    tokenizer->rules = pf_calloc(n, sizeof *tokenizer->rules, "the table of merges", error);
    bool ok = joined && tokenizer->rules &&
              pf_pair_map_new(&tokenizer->pairs, tokenizer->rules, n, error);
    for (size_t i = 0; ok && i < n; i++) {
        pf_merge_rule *rule = &tokenizer->rules[i];
        rule->rank = (uint32_t)i;
        if (resolve_merge(tokenizer, &merges[i], joined, rule))
            ok = pf_pair_map_add(&tokenizer->pairs, (uint32_t)i, error);
    }
    pf_free(joined);
    return ok;
}

bool pf_bpe_init(pf_tokenizer *tokenizer, pf_error *error) {
    const pf_vocabulary *vocabulary = &tokenizer->vocabulary;
    int32_t unk = vocabulary->unk;
    for (uint32_t byte = 0; byte < 256; byte++) {
        char character[4];
        size_t n = pf_utf8_write(character_of_byte(byte), character);
        tokenizer->byte_ids[byte] = pf_piece_find(&tokenizer->map, character, n);
        /* Not every file has all 256: SmolLM2 lacks six control characters and the bytes that occur
         * in no assigned character. Its unknown token is its end-of-text token: no substitute. */
        if (tokenizer->byte_ids[byte] < 0 && unk >= 0 &&
            tokenizer->pieces[unk].type == PF_TOKEN_UNKNOWN)
            tokenizer->byte_ids[byte] = unk;
    }
    tokenizer->pretokenizer =
        pf_pretokenizer_new(vocabulary->pre, vocabulary->patterns, vocabulary->n_patterns, error);
    return tokenizer->pretokenizer && index_merges(tokenizer, error);
}

/* ---- text -> ids ---- */

typedef struct word_context {
    const pf_tokenizer *tokenizer;
    pf_tokens *tokens;
    pf_merge merge;
    char *characters; /* [2 * longest_piece], to look up whole words */
} word_context;

static uint32_t find_merge(const void *context, const pf_symbol *left, const pf_symbol *right,
                           int32_t *id) {
    const pf_tokenizer *tokenizer = context;
    const pf_merge_rule *rule = pf_pair_map_find(&tokenizer->pairs, left->id, right->id);
    if (!rule) return PF_NO_MERGE;
    *id = rule->merged;
    return rule->rank;
}

static int32_t find_whole(const word_context *c, const char *word, size_t n) {
    if (n > c->tokenizer->longest_piece) return -1;
    size_t size = pf_bpe_encode_piece(word, n, c->characters);
    return pf_piece_find(&c->tokenizer->map, c->characters, size);
}

/* Vocabularies may lack the bytes that no valid UTF-8 has. Such a byte becomes U+FFFD, as it would
 * if another program had read the text. */
static const uint8_t replacement[] = {0xEF, 0xBF, 0xBD};

static bool has_replacement(const pf_tokenizer *tokenizer) {
    for (size_t i = 0; i < sizeof replacement; i++)
        if (tokenizer->byte_ids[replacement[i]] < 0) return false;
    return true;
}

static bool add_replacement(word_context *c, size_t at, pf_error *error) {
    for (size_t i = 0; i < sizeof replacement; i++)
        if (!pf_merge_add(&c->merge, at, 1, c->tokenizer->byte_ids[replacement[i]], error))
            return false;
    return true;
}

static bool encode_word(void *context, const char *word, size_t n, pf_error *error) {
    word_context *c = context;
    const pf_tokenizer *tokenizer = c->tokenizer;
    if (tokenizer->vocabulary.ignore_merges) {
        int32_t id = find_whole(c, word, n);
        if (id >= 0) return pf_tokens_push(c->tokens, id, error);
    }
    bool valid = pf_utf8_next(word, n).valid; /* a word is all valid, or all invalid */
    c->merge.n_symbols = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = tokenizer->byte_ids[(uint8_t)word[i]];
        if (id < 0 && !valid && has_replacement(tokenizer)) {
            if (!add_replacement(c, i, error)) return false;
        } else if (id < 0) {
            c->tokens->lost++;
        } else if (!pf_merge_add(&c->merge, i, 1, id, error)) {
            return false;
        }
    }
    if (c->merge.n_symbols == 0) return true;
    if (!pf_merge_run(&c->merge, find_merge, tokenizer, error)) return false;
    for (uint32_t i = 0; i != PF_NO_SYMBOL; i = c->merge.symbols[i].next)
        if (!pf_tokens_push(c->tokens, c->merge.symbols[i].id, error)) return false;
    return true;
}

bool pf_bpe_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                   pf_error *error) {
    word_context context = {.tokenizer = tokenizer, .tokens = tokens};
    context.characters = pf_calloc(tokenizer->longest_piece, 2, "a word", error);
    bool ok = context.characters &&
              pf_pretokenizer_split(tokenizer->pretokenizer, text, n, encode_word, &context, error);
    pf_merge_free(&context.merge);
    pf_free(context.characters);
    return ok;
}
