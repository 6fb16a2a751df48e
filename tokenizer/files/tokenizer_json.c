/* floor 3.4 - tokenizer.json: reads the tokenizers of Hugging Face. */
#include "tokenizer_json.h"

#include "json_pieces.h"
#include "memory.h"
#include "piece_map.h"
#include "tokenizer_json_steps.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

static bool is(const char *text, const char *other) { return text && strcmp(text, other) == 0; }

static bool is_absent(const json_t *value) {
    return !value || json_is_null(value) || json_string_length(value) == 0;
}

/* ---- merges ---- */

/* "left right", or ["left", "right"]: the two halves; false if it is neither. */
static bool halves_of(const json_t *merge, pf_piece *left, pf_piece *right) {
    const char *text = json_string_value(merge);
    size_t size = json_string_length(merge);
    if (json_array_size(merge) == 2) {
        const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
        *left = (pf_piece){.bytes = json_string_value(a), .size = json_string_length(a)};
        *right = (pf_piece){.bytes = json_string_value(b), .size = json_string_length(b)};
        return left->size > 0 && right->size > 0;
    }
    const char *space = size >= 3 ? memchr(text + 1, ' ', size - 2) : NULL;
    if (!space) return false;
    *left = (pf_piece){.bytes = text, .size = (size_t)(space - text)};
    *right = (pf_piece){.bytes = space + 1, .size = size - left->size - 1};
    return true;
}

static bool wrong_merge(size_t rank, pf_error *error) {
    return pf_fail(error, "merge %zu is not a pair of pieces", rank);
}

/* Stores the merges of byte-level BPE as GGUF writes them. */
static bool read_merges(const json_t *merges, pf_vocabulary *vocabulary,
                        pf_vocabulary_storage *storage, pf_error *error) {
    size_t rank, n = json_array_size(merges);
    json_t *merge;
    storage->merges = pf_calloc(n, sizeof *storage->merges, "a vocabulary", error);
    if (!storage->merges) return false;
    json_array_foreach((json_t *)merges, rank, merge) {
        pf_piece left, right, *out = &storage->merges[rank];
        if (!halves_of(merge, &left, &right) || memchr(left.bytes, ' ', left.size) ||
            memchr(right.bytes, ' ', right.size))
            return wrong_merge(rank, error);
        out->bytes = pf_vocabulary_storage_text(storage, left.bytes, left.size, error);
        if (!out->bytes || !pf_vocabulary_storage_text(storage, " ", 1, error) ||
            !pf_vocabulary_storage_text(storage, right.bytes, right.size, error))
            return false;
        out->size = left.size + 1 + right.size;
    }
    vocabulary->merges = storage->merges;
    vocabulary->n_merges = n;
    return true;
}

/* ---- merges -> scores ---- */

typedef struct {
    int32_t left, right;
} pair;

typedef struct {
    pf_map map;  /* the pieces that text can become */
    pair *pairs; /* [n_pairs] the merges, sorted */
    size_t n_pairs;
} merge_table;

static int compare_pairs(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool is_text(const pf_piece *piece) {
    return piece->type == PF_TOKEN_NORMAL || piece->type == PF_TOKEN_USER_DEFINED;
}

/* Scores the piece of each merge by its rank, and lists the pairs. */
static bool rank_merges(const json_t *merges, merge_table *t, pf_piece *pieces, pf_error *error) {
    size_t rank;
    json_t *merge;
    json_array_foreach((json_t *)merges, rank, merge) {
        pf_piece left, right;
        char joined[512];
        if (!halves_of(merge, &left, &right) || left.size > 256 || right.size > 256)
            return wrong_merge(rank, error);
        memcpy(joined, left.bytes, left.size);
        memcpy(joined + left.size, right.bytes, right.size);
        int32_t whole = pf_piece_find(&t->map, joined, left.size + right.size);
        pair p = {pf_piece_find(&t->map, left.bytes, left.size),
                  pf_piece_find(&t->map, right.bytes, right.size)};
        if (whole < 0 || p.left < 0 || p.right < 0) continue; /* a merge of control tokens */
        if (pieces[whole].score == 0) pieces[whole].score = -1.0f - (float)rank;
        t->pairs[t->n_pairs++] = p;
    }
    qsort(t->pairs, t->n_pairs, sizeof *t->pairs, compare_pairs);
    return true;
}

/* Every cut of a piece into two others must be a merge: SentencePiece would merge them. */
static bool check_cuts(const merge_table *t, const pf_piece *piece, pf_error *error) {
    for (size_t i = pf_utf8_next(piece->bytes, piece->size).size; i < piece->size;
         i += pf_utf8_next(piece->bytes + i, piece->size - i).size) {
        pair p = {pf_piece_find(&t->map, piece->bytes, i),
                  pf_piece_find(&t->map, piece->bytes + i, piece->size - i)};
        if (p.left < 0 || p.right < 0 || bsearch(&p, t->pairs, t->n_pairs, sizeof p, compare_pairs))
            continue;
        return pf_fail(error,
                       "the merges are not those of a SentencePiece model (\"%.*s\" could also be "
                       "made of its first %zu bytes and the rest), which is not supported",
                       (int)(piece->size < 60 ? piece->size : 60), piece->bytes, i);
    }
    return true;
}

static bool score_pieces(const json_t *merges, merge_table *t, pf_piece *pieces, size_t n,
                         pf_error *error) {
    for (size_t id = 0; id < n; id++) {
        pieces[id].score = 0;
        if (is_text(&pieces[id]) && pieces[id].size > 512)
            return pf_fail(error, "piece %zu is longer than 512 bytes", id);
        if (is_text(&pieces[id]) &&
            !pf_map_put(&t->map, pieces[id].bytes, pieces[id].size, id, error))
            return false;
    }
    if (!rank_merges(merges, t, pieces, error)) return false;
    for (size_t id = 0; id < n; id++)
        if (pieces[id].type == PF_TOKEN_NORMAL && !check_cuts(t, &pieces[id], error)) return false;
    return true;
}

static bool merges_to_scores(const json_t *merges, const pf_vocabulary *vocabulary,
                             pf_piece *pieces, pf_error *error) {
    merge_table t = {.n_pairs = 0};
    size_t n = vocabulary->n_pieces;
    t.pairs = pf_calloc(json_array_size(merges), sizeof *t.pairs, "the merges", error);
    bool good = t.pairs && score_pieces(merges, &t, pieces, n, error);
    pf_map_free(&t.map);
    pf_free(t.pairs);
    return good;
}

/* ---- patterns ---- */

static const struct {
    const char *pre;
    const char *patterns[2];
} known[] = {
    {"gpt-2",
     {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}},
    {"smollm",
     {"\\p{N}",
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}},
    {"llama-bpe",
     {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"qwen2",
     {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
};

static bool same_patterns(const pf_json_steps *steps, const char *const patterns[2]) {
    size_t n = patterns[1] ? 2 : 1;
    if (steps->n_patterns != n) return false;
    for (size_t i = 0; i < n; i++)
        if (steps->patterns[i].size != strlen(patterns[i]) ||
            memcmp(steps->patterns[i].bytes, patterns[i], steps->patterns[i].size) != 0)
            return false;
    return true;
}

/* Stores the name of the patterns if they have one, otherwise the patterns. Without any pattern,
 * the whole text is one word. */
static bool set_patterns(const pf_json_steps *steps, pf_vocabulary *vocabulary,
                         pf_vocabulary_storage *storage, pf_error *error) {
    static const char everything[] = "(?s).+";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!same_patterns(steps, known[i].patterns)) continue;
        memcpy(vocabulary->pre, known[i].pre, strlen(known[i].pre)); /* the rest is zero */
        return true;
    }
    size_t n = steps->n_patterns ? steps->n_patterns : 1;
    storage->patterns = pf_calloc(n, sizeof *storage->patterns, "a pre-tokenizer", error);
    if (!storage->patterns) return false;
    storage->patterns[0] = (pf_piece){.bytes = everything, .size = sizeof everything - 1};
    if (steps->n_patterns) memcpy(storage->patterns, steps->patterns, n * sizeof(pf_piece));
    vocabulary->patterns = storage->patterns;
    vocabulary->n_patterns = n;
    return true;
}

/* ---- the two models ---- */

static bool check_model(const json_t *model, pf_error *error) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++)
        if (!is_absent(json_object_get(model, affixes[i])))
            return pf_fail(error, "a BPE model with a %s is not supported", affixes[i]);
    if (json_number_value(json_object_get(model, "dropout")) != 0)
        return pf_fail(error, "a BPE model that drops merges at random is not supported");
    return true;
}

static bool read_byte_level(const json_t *model, const pf_json_steps *steps,
                            pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                            pf_error *error) {
    if (steps->escape || steps->prefix || steps->trim)
        return pf_fail(error, "ByteLevel together with U+2581 for spaces is not supported");
    for (size_t id = 0; id < vocabulary->n_pieces; id++)
        if (storage->pieces[id].type == PF_TOKEN_BYTE) storage->pieces[id].type = PF_TOKEN_NORMAL;
    vocabulary->kind = PF_TOKENIZER_BPE;
    vocabulary->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    return set_patterns(steps, vocabulary, storage, error) &&
           read_merges(json_object_get(model, "merges"), vocabulary, storage, error);
}

/* Each U+2581 starts a new word, so no piece may have one inside. */
static bool check_words(const pf_vocabulary *vocabulary, pf_error *error) {
    for (size_t id = 0; id < vocabulary->n_pieces; id++) {
        const pf_piece *piece = &vocabulary->pieces[id];
        for (size_t i = 1; is_text(piece) && i + 3 <= piece->size; i++)
            if (memcmp(piece->bytes + i, "\xe2\x96\x81", 3) == 0)
                return pf_fail(error,
                               "Metaspace that splits words is not supported for a vocabulary with "
                               "pieces of several words, such as piece %zu",
                               id);
    }
    return true;
}

static bool read_sentencepiece(const json_t *model, bool is_unigram, const pf_json_steps *steps,
                               pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                               pf_error *error) {
    if (steps->n_patterns)
        return pf_fail(error, "a pre-tokenizer with patterns is supported for ByteLevel only");
    if (!steps->escape)
        return pf_fail(error,
                       "a tokenizer over characters without U+2581 for spaces is not supported");
    vocabulary->kind = is_unigram ? PF_TOKENIZER_UNIGRAM : PF_TOKENIZER_SPM;
    vocabulary->escape_whitespaces = true;
    vocabulary->add_space_prefix = steps->prefix;
    vocabulary->prefix_if_none = steps->prefix_if_none;
    vocabulary->prefix_at_start = steps->prefix_at_start;
    vocabulary->remove_extra_whitespaces = steps->trim;
    vocabulary->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    for (size_t id = 0; id < vocabulary->n_pieces && !vocabulary->byte_fallback; id++)
        if (storage->pieces[id].type == PF_TOKEN_BYTE) storage->pieces[id].type = PF_TOKEN_NORMAL;
    if (steps->split_words && !check_words(vocabulary, error)) return false;
    return is_unigram ||
           merges_to_scores(json_object_get(model, "merges"), vocabulary, storage->pieces, error);
}

/* ---- the file ---- */

static bool set_steps(const pf_json_steps *steps, pf_vocabulary *vocabulary,
                      pf_vocabulary_storage *storage, pf_error *error) {
    storage->steps = pf_calloc(steps->n_steps, sizeof *storage->steps, "a normaliser", error);
    if (!storage->steps) return false;
    memcpy(storage->steps, steps->steps, steps->n_steps * sizeof *storage->steps);
    vocabulary->normal_steps = storage->steps;
    vocabulary->n_normal_steps = steps->n_steps;
    return true;
}

/* BPE gives the text of its unknown token, Unigram its id. */
static bool set_unknown(const json_t *model, bool is_unigram, pf_vocabulary *vocabulary,
                        pf_vocabulary_storage *storage, pf_error *error) {
    const json_t *id = json_object_get(model, "unk_id");
    vocabulary->unk =
        pf_json_find_piece(vocabulary, json_string_value(json_object_get(model, "unk_token")));
    if (is_unigram && json_is_integer(id)) {
        if (json_integer_value(id) < 0 || (uint64_t)json_integer_value(id) >= vocabulary->n_pieces)
            return pf_fail(error, "unk_id is %lld, but there are only %zu pieces",
                           (long long)json_integer_value(id), vocabulary->n_pieces);
        vocabulary->unk = (int32_t)json_integer_value(id);
    }
    if (vocabulary->unk >= 0 && vocabulary->kind != PF_TOKENIZER_BPE)
        storage->pieces[vocabulary->unk].type = PF_TOKEN_UNKNOWN;
    return true;
}

/* For a file whose post-processor does not name BOS or EOS. */
static void guess_ids(pf_vocabulary *vocabulary) {
    static const char *const bos[] = {"<s>", "<|begin_of_text|>"};
    static const char *const eos[] = {"</s>", "<|end_of_text|>", "<|endoftext|>"};
    for (size_t i = 0; i < 2 && vocabulary->bos < 0; i++)
        vocabulary->bos = pf_json_find_piece(vocabulary, bos[i]);
    for (size_t i = 0; i < 3 && vocabulary->eos < 0; i++)
        vocabulary->eos = pf_json_find_piece(vocabulary, eos[i]);
}

static bool read_file(const json_t *root, size_t bytes, pf_vocabulary *vocabulary,
                      pf_vocabulary_storage *storage, pf_error *error) {
    pf_json_steps steps;
    const json_t *model = json_object_get(root, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    bool is_unigram = is(type, "Unigram");
    if (!json_is_object(model))
        return pf_fail(error, "the file has no \"model\", so it is not a tokenizer.json");
    if (!is_unigram && !is(type, "BPE") && !(!type && json_object_get(model, "merges")))
        return pf_fail(error,
                       "the model \"%.40s\" of tokenizer.json is not supported; only BPE and "
                       "Unigram are",
                       type ? type : "?");
    *vocabulary = (pf_vocabulary){.bos = -1, .eos = -1, .unk = -1, .eot = -1};
    if (!check_model(model, error) ||
        !pf_json_pieces(json_object_get(model, "vocab"), json_object_get(root, "added_tokens"),
                        bytes, vocabulary, storage, error) ||
        !pf_json_read_steps(json_object_get(root, "normalizer"),
                            json_object_get(root, "pre_tokenizer"), &steps, storage, error) ||
        !(steps.byte_level && !is_unigram
              ? read_byte_level(model, &steps, vocabulary, storage, error)
              : read_sentencepiece(model, is_unigram, &steps, vocabulary, storage, error)) ||
        !set_steps(&steps, vocabulary, storage, error) ||
        !set_unknown(model, is_unigram, vocabulary, storage, error) ||
        !pf_json_read_post_processor(json_object_get(root, "post_processor"), vocabulary, error))
        return false;
    guess_ids(vocabulary);
    return true;
}

bool pf_tokenizer_json_read(pf_slice bytes, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error) {
    json_t *root = pf_json_parse(bytes, PF_JSON_TOKENIZER, error);
    bool good = root && read_file(root, bytes.size, vocabulary, storage, error);
    json_decref(root);
    return good;
}
