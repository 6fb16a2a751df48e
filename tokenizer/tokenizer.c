/* floor 3.4 - tokenizer: text <-> token ids. */
#include "tokenizer.h"

#include "bpe.h"
#include "buffer.h"
#include "memory.h"
#include "normalize.h"
#include "sentencepiece.h"
#include "special.h"
#include "spm.h"
#include "tokenizer_private.h"
#include "unigram.h"
#include "utf8.h"

#include <string.h>

/* ---- a new tokenizer: copy, check, decode, index ---- */

static bool check_id(const char *name, int32_t *id, size_t n, pf_error *error) {
    if (*id < 0) *id = -1;
    if (*id >= 0 && (size_t)*id >= n)
        return pf_fail(error, "the %s id %d is outside the vocabulary of %zu pieces", name,
                       (int)*id, n);
    return true;
}

static bool check_vocabulary(pf_vocabulary *vocabulary, pf_error *error) {
    size_t n = vocabulary->n_pieces;
    if (n == 0) return pf_fail(error, "the vocabulary has no pieces");
    if (n > INT32_MAX / 2 || vocabulary->n_merges > INT32_MAX / 2)
        return pf_fail(error, "a vocabulary of %zu pieces and %zu merges is too large", n,
                       vocabulary->n_merges);
    for (size_t i = 0; i < n; i++)
        if (vocabulary->pieces[i].score != vocabulary->pieces[i].score)
            return pf_fail(error, "the score of piece %zu is not a number", i);
    return check_id("BOS", &vocabulary->bos, n, error) &&
           check_id("EOS", &vocabulary->eos, n, error) &&
           check_id("unknown", &vocabulary->unk, n, error) &&
           check_id("end-of-turn", &vocabulary->eot, n, error);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* The byte that "<0xNN>" stands for, -1 for other pieces. */
static int byte_of(const pf_piece *piece) {
    if (piece->size != 6 || memcmp(piece->bytes, "<0x", 3) != 0 || piece->bytes[5] != '>')
        return -1;
    int high = hex_digit(piece->bytes[3]), low = hex_digit(piece->bytes[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* SentencePiece writes a space as U+2581. Writes at most piece->size bytes and returns how many. */
static size_t unescape(const pf_piece *piece, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < piece->size; i++) {
        if (piece->size - i >= 3 && memcmp(piece->bytes + i, "\xE2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 2;
        } else {
            out[n++] = piece->bytes[i];
        }
    }
    return n;
}

/* "[PAD32001]": a row of the embedding without a piece of the vocabulary. */
static bool is_padding(const pf_piece *piece) {
    return piece->type == PF_TOKEN_UNUSED && piece->size > 4 &&
           memcmp(piece->bytes, "[PAD", 4) == 0;
}

/* Writes the bytes that a piece stands for, at most piece->size, and returns how many. */
static size_t decode_piece(const pf_vocabulary *vocabulary, const pf_piece *piece, char *out) {
    int byte = piece->type == PF_TOKEN_BYTE ? byte_of(piece) : -1;
    bool is_bpe = vocabulary->kind == PF_TOKENIZER_BPE;
    if (piece->type == PF_TOKEN_CONTROL || is_padding(piece)) return 0;
    if (byte >= 0) {
        out[0] = (char)byte;
        return 1;
    }
    if (is_bpe && piece->type != PF_TOKEN_USER_DEFINED)
        return pf_bpe_decode_piece(piece->bytes, piece->size, out);
    if (!is_bpe && vocabulary->escape_whitespaces) return unescape(piece, out);
    if (piece->size) memcpy(out, piece->bytes, piece->size);
    return piece->size;
}

/* The most bytes that the decoder can write for these: each invalid one may become U+FFFD. */
static size_t decoded_bound(const pf_decoded *decoded) {
    size_t bound = 0;
    for (size_t i = 0; i < decoded->size;) {
        pf_utf8 character = pf_utf8_next(decoded->bytes + i, decoded->size - i);
        bound += character.valid ? character.size : 3 * character.size;
        i += character.size;
    }
    return bound;
}

static bool decode_all(pf_tokenizer *tokenizer, pf_error *error) {
    const pf_vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t total = tokenizer->storage.text_size; /* decoding never makes a piece longer */
    tokenizer->decoded = pf_calloc(vocabulary->n_pieces, sizeof *tokenizer->decoded,
                                   "the decoded vocabulary", error);
    char *text = tokenizer->decoded_text = pf_calloc(total, 1, "the decoded vocabulary", error);
    if (!tokenizer->decoded || !text) return false;
    for (size_t id = 0; id < vocabulary->n_pieces; id++) {
        pf_decoded *decoded = &tokenizer->decoded[id];
        decoded->bytes = text;
        decoded->size = decode_piece(vocabulary, &tokenizer->pieces[id], text);
        text += decoded->size;
        /* Few pieces can raise the bound; only those are worth a closer look. */
        size_t bound = 3 * decoded->size > tokenizer->max_bytes ? decoded_bound(decoded) : 0;
        if (bound > tokenizer->max_bytes) tokenizer->max_bytes = bound;
    }
    return true;
}

/* Pieces that text can become: not control tokens and bytes, whose names only look like text. */
static bool is_text(const pf_piece *piece) {
    return piece->size && piece->type != PF_TOKEN_CONTROL && piece->type != PF_TOKEN_UNKNOWN &&
           piece->type != PF_TOKEN_BYTE;
}

static bool index_pieces(pf_tokenizer *tokenizer, pf_error *error) {
    size_t n = tokenizer->vocabulary.n_pieces;
    bool is_bpe = tokenizer->vocabulary.kind == PF_TOKENIZER_BPE;
    for (size_t i = 0; i < 256; i++) tokenizer->byte_ids[i] = -1;
    for (size_t id = 0; id < n; id++) {
        const pf_piece *piece = &tokenizer->pieces[id];
        int byte = piece->type == PF_TOKEN_BYTE ? byte_of(piece) : -1;
        if (byte >= 0 && tokenizer->byte_ids[byte] < 0) tokenizer->byte_ids[byte] = (int32_t)id;
        if (!is_text(piece) || (!is_bpe && pf_piece_is_added(piece))) continue;
        if (!pf_map_put(&tokenizer->map, piece->bytes, piece->size, id, error)) return false;
        if (piece->size > tokenizer->longest_piece) tokenizer->longest_piece = piece->size;
    }
    return true;
}

static bool init_kind(pf_tokenizer *tokenizer, pf_error *error) {
    switch (tokenizer->vocabulary.kind) {
    case PF_TOKENIZER_SPM:
        return true;
    case PF_TOKENIZER_BPE:
        return pf_bpe_init(tokenizer, error);
    case PF_TOKENIZER_UNIGRAM:
        return pf_unigram_init(tokenizer, error);
    }
    return pf_fail(error, "tokenizer kind %d is unknown", (int)tokenizer->vocabulary.kind);
}

pf_tokenizer *pf_tokenizer_new(const pf_vocabulary *vocabulary, pf_error *error) {
    pf_tokenizer *tokenizer = pf_calloc(1, sizeof *tokenizer, "the tokenizer", error);
    if (!tokenizer) return NULL;
    if (pf_vocabulary_copy(vocabulary, &tokenizer->vocabulary, &tokenizer->storage, error)) {
        tokenizer->pieces = tokenizer->vocabulary.pieces;
        if (check_vocabulary(&tokenizer->vocabulary, error) && decode_all(tokenizer, error) &&
            index_pieces(tokenizer, error) && pf_special_init(tokenizer, error) &&
            init_kind(tokenizer, error))
            return tokenizer;
    }
    pf_tokenizer_free(tokenizer);
    return NULL;
}

void pf_tokenizer_free(pf_tokenizer *tokenizer) {
    if (!tokenizer) return;
    pf_pretokenizer_free(tokenizer->pretokenizer);
    pf_pair_map_free(&tokenizer->pairs);
    pf_free(tokenizer->rules);
    pf_trie_free(&tokenizer->words);
    pf_trie_free(&tokenizer->special);
    pf_trie_free(&tokenizer->normalized);
    pf_trie_free(&tokenizer->symbols);
    pf_map_free(&tokenizer->map);
    pf_free(tokenizer->decoded);
    pf_free(tokenizer->decoded_text);
    pf_vocabulary_storage_free(&tokenizer->storage);
    pf_free(tokenizer);
}

/* ---- text -> ids ---- */

/* Encodes text without special tokens that is as the kind needs it: for BPE normalised, for the
 * others prepared as well. */
static bool encode_prepared(const pf_tokenizer *tokenizer, const char *text, size_t n,
                            pf_tokens *tokens, pf_error *error) {
    if (n == 0) return true;
    switch (tokenizer->vocabulary.kind) {
    case PF_TOKENIZER_SPM:
        return pf_spm_encode(tokenizer, text, n, tokens, error);
    case PF_TOKENIZER_BPE:
        return pf_bpe_encode(tokenizer, text, n, tokens, error);
    case PF_TOKENIZER_UNIGRAM:
        return pf_unigram_encode(tokenizer, text, n, tokens, error);
    }
    return false;
}

/* What encoding a text depends on. `prefix`: here it starts, or follows a special token. */
typedef struct {
    const pf_tokenizer *tokenizer;
    bool control, prefix;
    pf_tokens *tokens;
} encoder;

/* Encodes a normalised part without special tokens. */
static bool encode_words(const encoder *e, const char *text, size_t n, pf_error *error) {
    const pf_vocabulary *vocabulary = &e->tokenizer->vocabulary;
    char *prepared = NULL;
    size_t size = 0;
    if (n == 0 || vocabulary->kind == PF_TOKENIZER_BPE)
        return encode_prepared(e->tokenizer, text, n, e->tokens, error);
    bool ok = pf_sentencepiece_prepare(vocabulary, text, n, e->prefix, &prepared, &size, error) &&
              encode_prepared(e->tokenizer, prepared, size, e->tokens, error);
    pf_free(prepared);
    return ok;
}

/* Cuts normalised text at the tokens that are found there; `ready`: it is prepared, too. */
static bool cut_normalised(encoder e, const char *text, size_t n, bool ready, pf_error *error) {
    for (size_t from = 0; from < n;) {
        pf_special_match match = pf_special_find_normalized(e.tokenizer, text, n, from, e.control);
        size_t part = match.begin - from;
        if (!(ready ? encode_prepared(e.tokenizer, text + from, part, e.tokens, error)
                    : encode_words(&e, text + from, part, error)))
            return false;
        if (match.id < 0) break;
        if (!pf_tokens_push(e.tokens, match.id, error)) return false;
        from = match.end;
        e.prefix = !e.tokenizer->vocabulary.prefix_at_start;
    }
    return true;
}

static bool encode_normalised(const encoder *e, const char *text, size_t n, pf_error *error) {
    const pf_vocabulary *vocabulary = &e->tokenizer->vocabulary;
    char *prepared = NULL;
    size_t size = 0;
    if (pf_trie_is_empty(&e->tokenizer->normalized)) return encode_words(e, text, n, error);
    if (!pf_special_prepared_first(vocabulary)) return cut_normalised(*e, text, n, false, error);
    bool ok = pf_sentencepiece_prepare(vocabulary, text, n, e->prefix, &prepared, &size, error) &&
              cut_normalised(*e, prepared, size, true, error);
    pf_free(prepared);
    return ok;
}

/* Appends text [n], normalised. */
static bool put_normalised(const pf_vocabulary *vocabulary, pf_buffer *out, const char *text,
                           size_t n, pf_error *error) {
    char *normal = NULL;
    size_t size = 0;
    bool ok = pf_normalize(vocabulary->normal_steps, vocabulary->n_normal_steps, text, n, &normal,
                           &size, error) &&
              pf_buffer_put(out, normal, size, error);
    pf_free(normal);
    return ok;
}

/* User-defined symbols in words are kept as they are. */
static bool normalise(const pf_tokenizer *tokenizer, const char *text, size_t n, pf_buffer *out,
                      pf_error *error) {
    size_t from = 0, size;
    for (size_t i = 0; !pf_trie_is_empty(&tokenizer->symbols) && i < n;) {
        if (pf_trie_longest(&tokenizer->symbols, text + i, n - i, &size) < 0) {
            i++;
            continue;
        }
        if (!put_normalised(&tokenizer->vocabulary, out, text + from, i - from, error) ||
            !pf_buffer_put(out, text + i, size, error))
            return false;
        from = i += size;
    }
    return put_normalised(&tokenizer->vocabulary, out, text + from, n - from, error);
}

static bool encode_part(const encoder *e, const char *text, size_t n, pf_error *error) {
    pf_buffer normal = {0};
    if (n == 0 || e->tokenizer->vocabulary.n_normal_steps == 0)
        return encode_normalised(e, text, n, error);
    bool ok = normalise(e->tokenizer, text, n, &normal, error) &&
              encode_normalised(e, normal.bytes, normal.n, error);
    pf_free(normal.bytes);
    return ok;
}

static bool encode_text(const pf_tokenizer *tokenizer, const char *text, size_t n, unsigned flags,
                        pf_tokens *tokens, pf_error *error) {
    encoder e = {tokenizer, flags & PF_ENCODE_SPECIAL, !(flags & PF_ENCODE_CONTINUED), tokens};
    for (size_t from = 0; from < n;) {
        pf_special_match match = pf_special_find(tokenizer, text, n, from, e.control);
        if (!encode_part(&e, text + from, match.begin - from, error)) return false;
        if (match.id < 0) break;
        if (!pf_tokens_push(tokens, match.id, error)) return false;
        from = match.end;
        e.prefix = !tokenizer->vocabulary.prefix_at_start;
    }
    return true;
}

bool pf_tokenizer_encode(const pf_tokenizer *tokenizer, const char *text, size_t n, unsigned flags,
                         pf_tokens *tokens, pf_error *error) {
    const pf_vocabulary *vocabulary = &tokenizer->vocabulary;
    bool bos = (flags & PF_ENCODE_FORCE_BOS) || ((flags & PF_ENCODE_BOS) && vocabulary->add_bos);
    bool eos = (flags & PF_ENCODE_BOS) && vocabulary->add_eos;
    if (bos && vocabulary->bos >= 0 && !pf_tokens_push(tokens, vocabulary->bos, error))
        return false;
    if (!encode_text(tokenizer, text, n, flags, tokens, error)) return false;
    return !eos || vocabulary->eos < 0 || pf_tokens_push(tokens, vocabulary->eos, error);
}

/* ---- ids -> bytes ---- */

static bool has_id(const pf_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && (size_t)id < tokenizer->vocabulary.n_pieces;
}

const char *pf_tokenizer_bytes(const pf_tokenizer *tokenizer, int32_t id, bool special, size_t *n) {
    if (!has_id(tokenizer, id)) return NULL;
    if (special && tokenizer->pieces[id].type == PF_TOKEN_CONTROL)
        return pf_tokenizer_piece(tokenizer, id, n);
    *n = tokenizer->decoded[id].size;
    return tokenizer->decoded[id].bytes;
}

const char *pf_tokenizer_piece(const pf_tokenizer *tokenizer, int32_t id, size_t *n) {
    if (!has_id(tokenizer, id)) return NULL;
    *n = tokenizer->pieces[id].size;
    return tokenizer->pieces[id].bytes;
}

size_t pf_tokenizer_max_bytes(const pf_tokenizer *tokenizer) { return tokenizer->max_bytes; }

size_t pf_tokenizer_size(const pf_tokenizer *tokenizer) { return tokenizer->vocabulary.n_pieces; }

const pf_vocabulary *pf_tokenizer_vocabulary(const pf_tokenizer *tokenizer) {
    return &tokenizer->vocabulary;
}

/* What models call the end of a turn or of a text, for files that do not give its id. */
static const char *const end_names[] = {
    "<|im_end|>",      "<|eot_id|>",    "<|eom_id|>", "<|end|>",    "<|endoftext|>",
    "<|end_of_text|>", "<end_of_turn>", "<EOT>",      "<|return|>", "<|call|>",
};

bool pf_tokenizer_is_end(const pf_tokenizer *tokenizer, int32_t id) {
    const pf_vocabulary *vocabulary = &tokenizer->vocabulary;
    if (!has_id(tokenizer, id)) return false;
    if (id == vocabulary->eos || id == vocabulary->eot || id == vocabulary->bos) return true;
    for (size_t i = 0; i < vocabulary->n_ends; i++)
        if (id == vocabulary->ends[i]) return true;
    const pf_piece *piece = &tokenizer->pieces[id];
    if (piece->type != PF_TOKEN_CONTROL && piece->type != PF_TOKEN_USER_DEFINED) return false;
    for (size_t i = 0; i < sizeof end_names / sizeof *end_names; i++)
        if (piece->size == strlen(end_names[i]) &&
            memcmp(piece->bytes, end_names[i], piece->size) == 0)
            return true;
    return false;
}
