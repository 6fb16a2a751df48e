/* floor 3.3 - SentencePiece Unigram: the most probable way to cut a text into pieces. */
#include "unigram.h"

#include "memory.h"
#include "sentencepiece.h"
#include "utf8.h"

#define UNKNOWN_PENALTY 10.0f /* SentencePiece's */

static bool is_word(const pf_piece *piece) {
    return piece->size && !pf_piece_is_added(piece) &&
           (piece->type == PF_TOKEN_NORMAL || piece->type == PF_TOKEN_USER_DEFINED);
}

bool pf_unigram_init(pf_tokenizer *tokenizer, pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces, bytes = 0;
    bool any = false;
    tokenizer->highest_score = 0;
    for (size_t id = 0; id < n; id++) {
        const pf_piece *piece = &tokenizer->pieces[id];
        if (!is_word(piece)) continue;
        bytes += piece->size;
        if (piece->type != PF_TOKEN_NORMAL) continue;
        if (!any || piece->score < tokenizer->lowest_score) tokenizer->lowest_score = piece->score;
        if (piece->score > tokenizer->highest_score) tokenizer->highest_score = piece->score;
        any = true;
    }
    if (!pf_trie_new(&tokenizer->words, bytes, error)) return false;
    for (size_t id = 0; id < n; id++) {
        const pf_piece *piece = &tokenizer->pieces[id];
        if (is_word(piece) &&
            !pf_trie_add(&tokenizer->words, piece->bytes, piece->size, (int32_t)id, error))
            return false;
    }
    return true;
}

/* The best cut of the text up to some byte: its last piece and where that piece starts. */
typedef struct best_cut {
    float score; /* float, so that sums round as SentencePiece's do */
    int32_t id;  /* -1: a character without a piece */
    uint32_t begin;
    bool reached;
} best_cut;

static void improve(best_cut *cut, float score, int32_t id, size_t begin) {
    if (cut->reached && !(score > cut->score)) return;
    *cut = (best_cut){.score = score, .id = id, .begin = (uint32_t)begin, .reached = true};
}

/* A user-defined piece beats nearly any cut through it. As in SentencePiece, where the highest
 * score is never below 0, so that this is -0.1 for log probabilities. */
static float score_of(const pf_tokenizer *tokenizer, const pf_piece *piece) {
    if (piece->type != PF_TOKEN_USER_DEFINED) return piece->score;
    return (float)piece->size * tokenizer->highest_score - 0.1f;
}

/* Extends the best cut that ends at byte i by each piece that starts there. Returns the length of
 * the character at i. */
static size_t extend(const pf_tokenizer *tokenizer, const char *text, size_t n, size_t i,
                     best_cut *cuts) {
    pf_utf8 character = pf_utf8_next(text + i, n - i);
    size_t width = character.valid ? character.size : 1;
    float score = cuts[i].score;
    bool has_character = false;
    uint32_t node = 0;
    for (size_t end = i; end < n;) {
        node = pf_trie_step(&tokenizer->words, node, (uint8_t)text[end++]);
        if (!node) break;
        int32_t id = tokenizer->words.nodes[node].id;
        if (id < 0) continue;
        improve(&cuts[end], score + score_of(tokenizer, &tokenizer->pieces[id]), id, i);
        has_character |= end == i + width;
    }
    if (!has_character)
        improve(&cuts[i + width], score + tokenizer->lowest_score - UNKNOWN_PENALTY, -1, i);
    return width;
}

/* Follows the best cut from the end to the start, reversing its links in place: afterwards
 * cuts[i].begin is where the piece that starts at i ends. Then pushes the pieces in order. */
static bool push_cut(const pf_tokenizer *tokenizer, const char *text, size_t n, best_cut *cuts,
                     pf_tokens *tokens, pf_error *error) {
    size_t end = n;
    int32_t id = cuts[n].id;
    for (size_t begin = cuts[n].begin; end > 0;) {
        best_cut before = cuts[begin];
        cuts[begin].begin = (uint32_t)end;
        cuts[begin].id = id;
        end = begin;
        begin = before.begin;
        id = before.id;
    }
    bool in_unknown = false;
    for (size_t i = 0; i < n; i = cuts[i].begin) {
        if (cuts[i].id < 0) {
            if (!pf_sentencepiece_unknown(&tokenizer->vocabulary, tokenizer->byte_ids, text + i,
                                          cuts[i].begin - i, &in_unknown, tokens, error))
                return false;
        } else {
            in_unknown = false;
            if (!pf_tokens_push(tokens, cuts[i].id, error)) return false;
        }
    }
    return true;
}

bool pf_unigram_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_tokens *tokens,
                       pf_error *error) {
    if (n == 0) return true;
    if (n >= UINT32_MAX)
        return pf_fail(error, "the text is too long: split it into parts of less than 4 GB");
    best_cut *cuts = pf_calloc(n + 1, sizeof *cuts, "the cuts of the text", error);
    if (!cuts) return false;
    cuts[0].reached = true;
    for (size_t i = 0; i < n;) i += extend(tokenizer, text, n, i, cuts);
    bool ok = push_cut(tokenizer, text, n, cuts, tokens, error);
    pf_free(cuts);
    return ok;
}
