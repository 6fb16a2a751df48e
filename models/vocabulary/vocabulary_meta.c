/* floor 4.0 - vocabulary keys: pf_vocabulary <-> tokenizer.ggml.* of a checkpoint. */
#include "vocabulary_meta.h"

#include "memory.h"
#include "tokenizer_keys.h"

#include <stdio.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const kinds[] = {
    [PF_TOKENIZER_SPM] = "llama", [PF_TOKENIZER_BPE] = "gpt2", [PF_TOKENIZER_UNIGRAM] = "t5"};

/* Pre-tokenizers of the Llama 3 kind: a pre-token that is a piece is not split, and BOS is
 * added. */
static const char *const whole_word_pres[] = {"llama-bpe", "llama3",    "llama-v3",
                                              "falcon3",   "falcon-h1", "pixtral",
                                              "midm-2.0",  "lfm2",      "tekken"};
/* Names of end-of-turn tokens, for files without a key for it. */
static const char *const turn_ends[] = {"<|im_end|>",    "<|eot_id|>",      "<|end|>",
                                        "<end_of_turn>", "<|end_of_turn|>", "<EOT>"};

static bool text_is(pf_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

static bool piece_is(const pf_piece *piece, const char *text) {
    return text_is((pf_text){piece->bytes, piece->size}, text);
}

static bool implies_whole_words(const pf_vocabulary *vocabulary) {
    bool found = false;
    for (size_t i = 0; i < COUNT(whole_word_pres); i++)
        found |= strcmp(vocabulary->pre, whole_word_pres[i]) == 0;
    return found && vocabulary->kind == PF_TOKENIZER_BPE;
}

static bool looks_like_byte(const pf_piece *piece) {
    return piece->size == 6 && memcmp(piece->bytes, "<0x", 3) == 0 && piece->bytes[5] == '>';
}

/* ---- checkpoint -> vocabulary ---- */

static bool read_kind(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary, bool *found,
                      pf_error *error) {
    pf_text model = {NULL, 0};
    *found = false;
    if (!pf_checkpoint_get_text(checkpoint, KEY("model"), &model, error)) return false;
    if (!model.bytes || text_is(model, "none") || text_is(model, "no_vocab")) return true;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!text_is(model, kinds[i])) continue;
        vocabulary->kind = (pf_tokenizer_kind)i;
        *found = true;
        return true;
    }
    return pf_fail(error,
                   "the tokenizer model \"%.*s\" is not supported; supported: llama, gpt2 and t5",
                   (int)(model.size < 40 ? model.size : 40), model.bytes);
}

/* *values = the array under `key`, or NULL if absent. It must have one entry per piece. */
static bool get_per_piece(const pf_checkpoint *checkpoint, const char *key, pf_meta_type type,
                          size_t n_pieces, const char **values, pf_error *error) {
    const void *array = NULL;
    size_t count = 0;
    *values = NULL;
    if (!pf_checkpoint_get_array(checkpoint, key, type, &array, &count, error)) return false;
    if (array && count != n_pieces)
        return pf_fail(error, "%s has %zu entries, but there are %zu tokens", key, count, n_pieces);
    *values = array;
    return true;
}

/* token_type is an array of I32 by convention, but of U32 in some files. */
static bool get_types(const pf_checkpoint *checkpoint, size_t n_pieces, const char **types,
                      pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, KEY("token_type"));
    bool is_unsigned = meta && meta->type == PF_META_ARRAY && meta->element_type == PF_META_U32;
    return get_per_piece(checkpoint, KEY("token_type"), is_unsigned ? PF_META_U32 : PF_META_I32,
                         n_pieces, types, error);
}

static bool read_pieces(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                        pf_vocabulary_storage *storage, bool *typed, pf_error *error) {
    const void *array = NULL;
    const char *scores, *types;
    size_t n = 0;
    if (!pf_checkpoint_get_array(checkpoint, KEY("tokens"), PF_META_STRING, &array, &n, error))
        return false;
    if (n == 0 || n > INT32_MAX)
        return pf_fail(error, "the tokenizer has %zu tokens (tokenizer.ggml.tokens)", n);
    if (!get_per_piece(checkpoint, KEY("scores"), PF_META_F32, n, &scores, error) ||
        !get_types(checkpoint, n, &types, error))
        return false;
    const pf_text *texts = array;
    pf_piece *pieces = pf_calloc(n, sizeof *pieces, "a vocabulary", error);
    if (!pieces) return false;
    storage->pieces = pieces;
    for (size_t i = 0; i < n; i++) {
        int32_t type = PF_TOKEN_NORMAL;
        pieces[i] = (pf_piece){.bytes = texts[i].bytes, .size = texts[i].size};
        if (scores) memcpy(&pieces[i].score, scores + i * sizeof(float), sizeof(float));
        if (types)
            memcpy(&type, types + i * sizeof type, sizeof type);
        else if (vocabulary->kind == PF_TOKENIZER_SPM && looks_like_byte(&pieces[i]))
            type = PF_TOKEN_BYTE;
        /* ggml's 0, "undefined", and types that later versions may add are normal text. */
        if (type < PF_TOKEN_NORMAL || type > PF_TOKEN_BYTE) type = PF_TOKEN_NORMAL;
        /* As in llama.cpp: it ends texts, so it is no word, whatever the file (Gemma's) says. */
        if (type == PF_TOKEN_USER_DEFINED && piece_is(&pieces[i], "</s>")) type = PF_TOKEN_CONTROL;
        pieces[i].type = (pf_token_type)type;
        vocabulary->byte_fallback |= type == PF_TOKEN_BYTE;
    }
    vocabulary->pieces = pieces;
    vocabulary->n_pieces = n;
    *typed = types != NULL;
    return true;
}

static bool read_merges(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                        pf_vocabulary_storage *storage, pf_error *error) {
    const void *array = NULL;
    size_t n = 0;
    if (!pf_checkpoint_get_array(checkpoint, KEY("merges"), PF_META_STRING, &array, &n, error))
        return false;
    if (n == 0) return true;
    const pf_text *texts = array;
    storage->merges = pf_calloc(n, sizeof *storage->merges, "a vocabulary", error);
    if (!storage->merges) return false;
    for (size_t i = 0; i < n; i++)
        storage->merges[i] = (pf_piece){.bytes = texts[i].bytes, .size = texts[i].size};
    vocabulary->merges = storage->merges;
    vocabulary->n_merges = n;
    return true;
}

/* *id = the value of the key. 2^32 - 1, the -1 of some converters, means that there is no such
 * token. */
static bool get_id(const pf_checkpoint *checkpoint, const char *key, size_t n_pieces, int32_t *id,
                   pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    uint32_t value = UINT32_MAX;
    bool is_negative =
        meta && (meta->type == PF_META_I32 || meta->type == PF_META_I64) && meta->value.i < 0;
    if (!meta) {
        if (*id >= 0 && (size_t)*id >= n_pieces)
            *id = -1; /* a default, and the vocabulary is tiny */
        return true;
    }
    if (!is_negative && !pf_checkpoint_get_u32(checkpoint, key, &value, error)) return false;
    if (value != UINT32_MAX && value >= n_pieces)
        return pf_fail(error, "%s is %u, but there are only %zu tokens", key, value, n_pieces);
    *id = value == UINT32_MAX ? -1 : (int32_t)value;
    return true;
}

static int32_t find_turn_end(const pf_vocabulary *vocabulary) {
    for (size_t i = 0; i < vocabulary->n_pieces; i++) {
        const pf_piece *piece = &vocabulary->pieces[i];
        if (piece->type != PF_TOKEN_CONTROL && piece->type != PF_TOKEN_USER_DEFINED) continue;
        for (size_t t = 0; t < COUNT(turn_ends); t++)
            if (piece_is(piece, turn_ends[t])) return (int32_t)i;
    }
    return -1;
}

static bool read_ids(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary, pf_error *error) {
    size_t n = vocabulary->n_pieces;
    bool spm = vocabulary->kind == PF_TOKENIZER_SPM;
    vocabulary->bos = spm ? 1 : -1;
    vocabulary->eos = spm ? 2 : -1;
    vocabulary->unk = spm ? 0 : -1;
    vocabulary->eot = -1;
    if (!get_id(checkpoint, KEY("bos_token_id"), n, &vocabulary->bos, error) ||
        !get_id(checkpoint, KEY("eos_token_id"), n, &vocabulary->eos, error) ||
        !get_id(checkpoint, KEY("unknown_token_id"), n, &vocabulary->unk, error) ||
        !get_id(checkpoint, KEY("eot_token_id"), n, &vocabulary->eot, error))
        return false;
    if (!pf_checkpoint_find_meta(checkpoint, KEY("eot_token_id")))
        vocabulary->eot = find_turn_end(vocabulary);
    return true;
}

static bool read_flags(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                       pf_error *error) {
    pf_text pre = {"", 0};
    bool spm = vocabulary->kind == PF_TOKENIZER_SPM;
    if (!pf_checkpoint_get_text(checkpoint, KEY("pre"), &pre, error)) return false;
    if (pre.size >= sizeof vocabulary->pre || memchr(pre.bytes, '\0', pre.size))
        return pf_fail(error, "the pre-tokenizer \"%.*s\" is not supported",
                       (int)(pre.size < 40 ? pre.size : 40), pre.bytes);
    memcpy(vocabulary->pre, pre.bytes, pre.size); /* the rest is zero */
    vocabulary->ignore_merges = implies_whole_words(vocabulary);
    vocabulary->add_bos = spm || vocabulary->ignore_merges;
    vocabulary->add_eos = vocabulary->kind == PF_TOKENIZER_UNIGRAM;
    vocabulary->add_space_prefix = vocabulary->kind != PF_TOKENIZER_BPE;
    vocabulary->escape_whitespaces = vocabulary->kind != PF_TOKENIZER_BPE;
    return pf_checkpoint_get_bool(checkpoint, KEY("add_bos_token"), &vocabulary->add_bos, error) &&
           pf_checkpoint_get_bool(checkpoint, KEY("add_eos_token"), &vocabulary->add_eos, error) &&
           pf_checkpoint_get_bool(checkpoint, KEY("add_space_prefix"),
                                  &vocabulary->add_space_prefix, error) &&
           pf_checkpoint_get_bool(checkpoint, KEY("remove_extra_whitespaces"),
                                  &vocabulary->remove_extra_whitespaces, error) &&
           pf_checkpoint_get_bool(checkpoint, KEY("escape_whitespaces"),
                                  &vocabulary->escape_whitespaces, error);
}

bool pf_vocabulary_from_checkpoint(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                                   pf_vocabulary_storage *storage, pf_error *error) {
    bool found, typed = false;
    *vocabulary = (pf_vocabulary){.bos = -1, .eos = -1, .unk = -1, .eot = -1};
    if (!read_kind(checkpoint, vocabulary, &found, error)) return false;
    if (!found) return true;
    if (!read_pieces(checkpoint, vocabulary, storage, &typed, error) ||
        !read_merges(checkpoint, vocabulary, storage, error) ||
        !read_ids(checkpoint, vocabulary, error) || !read_flags(checkpoint, vocabulary, error) ||
        !pf_tokenizer_keys_read(checkpoint, vocabulary, storage, error))
        return false;
    if (!typed) { /* token_type is missing: the ids tell */
        if (vocabulary->bos >= 0) storage->pieces[vocabulary->bos].type = PF_TOKEN_CONTROL;
        if (vocabulary->eos >= 0) storage->pieces[vocabulary->eos].type = PF_TOKEN_CONTROL;
        if (vocabulary->unk >= 0) storage->pieces[vocabulary->unk].type = PF_TOKEN_UNKNOWN;
    }
    return true;
}

/* ---- vocabulary -> checkpoint ---- */

static bool set_texts(pf_checkpoint *checkpoint, const char *key, const pf_piece *pieces, size_t n,
                      pf_error *error) {
    pf_text *texts = pf_calloc(n, sizeof *texts, "a vocabulary", error);
    if (!texts) return false;
    for (size_t i = 0; i < n; i++) texts[i] = (pf_text){pieces[i].bytes, pieces[i].size};
    bool done = pf_checkpoint_set_texts(checkpoint, key, texts, n, error);
    pf_free(texts);
    return done;
}

static bool set_scores_and_types(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                                 pf_error *error) {
    size_t n = vocabulary->n_pieces;
    float *scores = pf_calloc(n, sizeof *scores, "a vocabulary", error);
    int32_t *types = pf_calloc(n, sizeof *types, "a vocabulary", error);
    bool done = scores && types;
    for (size_t i = 0; done && i < n; i++) {
        scores[i] = vocabulary->pieces[i].score;
        types[i] = (int32_t)vocabulary->pieces[i].type;
    }
    if (done && vocabulary->kind != PF_TOKENIZER_BPE)
        done = pf_checkpoint_set_array(checkpoint, KEY("scores"), PF_META_F32, scores, n, error);
    done = done &&
           pf_checkpoint_set_array(checkpoint, KEY("token_type"), PF_META_I32, types, n, error);
    pf_free(types);
    pf_free(scores);
    return done;
}

/* A missing token is written as 2^32 - 1 if an absent key would mean a default (SentencePiece). */
static bool set_ids(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint, pf_error *error) {
    const struct {
        const char *key;
        int32_t id;
        bool has_default;
    } ids[] = {
        {KEY("bos_token_id"), vocabulary->bos, vocabulary->kind == PF_TOKENIZER_SPM},
        {KEY("eos_token_id"), vocabulary->eos, vocabulary->kind == PF_TOKENIZER_SPM},
        {KEY("unknown_token_id"), vocabulary->unk, vocabulary->kind == PF_TOKENIZER_SPM},
        {KEY("eot_token_id"), vocabulary->eot, false},
    };
    for (size_t i = 0; i < COUNT(ids); i++)
        if ((ids[i].id >= 0 || ids[i].has_default) &&
            !pf_checkpoint_set_u32(checkpoint, ids[i].key, (uint32_t)ids[i].id, error))
            return false;
    return true;
}

static bool set_flags(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint, pf_error *error) {
    bool subwords = vocabulary->kind != PF_TOKENIZER_BPE;
    return pf_checkpoint_set_bool(checkpoint, KEY("add_bos_token"), vocabulary->add_bos, error) &&
           pf_checkpoint_set_bool(checkpoint, KEY("add_eos_token"), vocabulary->add_eos, error) &&
           (!subwords || pf_checkpoint_set_bool(checkpoint, KEY("add_space_prefix"),
                                                vocabulary->add_space_prefix, error)) &&
           (!subwords || pf_checkpoint_set_bool(checkpoint, KEY("remove_extra_whitespaces"),
                                                vocabulary->remove_extra_whitespaces, error)) &&
           (vocabulary->escape_whitespaces == subwords ||
            pf_checkpoint_set_bool(checkpoint, KEY("escape_whitespaces"),
                                   vocabulary->escape_whitespaces, error));
}

/* ---- padding ---- */

#define PAD_BYTES 16 /* "[PAD4294967295]" */

/* The array under `key` [n numbers of `type`, if there is one], made longer by copies of `fill`. */
static bool lengthen(pf_checkpoint *checkpoint, const char *key, size_t n, size_t longer,
                     const void *fill, pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, key);
    size_t size = meta && meta->type == PF_META_ARRAY ? pf_meta_type_bytes(meta->element_type) : 0;
    if (size == 0 || meta->count != n) return true;
    pf_meta_type type = meta->element_type;
    char *values = pf_calloc(longer, size, "a vocabulary", error);
    if (!values) return false;
    memcpy(values, meta->value.array, n * size);
    for (size_t i = n; i < longer; i++) memcpy(values + i * size, fill, size);
    bool done = pf_checkpoint_set_array(checkpoint, key, type, values, longer, error);
    pf_free(values);
    return done;
}

/* More than these are no padding: tokenizer and model do not belong together. */
#define MAX_PADDING 4096

bool pf_vocabulary_pad(pf_checkpoint *checkpoint, pf_error *error) {
    static const int32_t unused = PF_TOKEN_UNUSED;
    static const float score = -1000;
    static const uint8_t no_strip = 0;
    const pf_tensor *embedding = pf_checkpoint_find(checkpoint, "token_embd.weight");
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, KEY("tokens"));
    size_t rows = embedding && embedding->n_dims == 2 ? (size_t)embedding->shape[1] : 0;
    bool texts_there = meta && meta->type == PF_META_ARRAY && meta->element_type == PF_META_STRING;
    size_t n = texts_there ? meta->count : rows;
    if (n >= rows || rows - n > MAX_PADDING) return true;
    pf_text *texts = pf_calloc(rows, sizeof *texts, "a vocabulary", error);
    char *names = pf_calloc(rows - n, PAD_BYTES, "a vocabulary", error);
    bool done = texts && names;
    for (size_t i = 0; done && i < rows; i++) {
        char *name = names + (i < n ? 0 : i - n) * PAD_BYTES;
        if (i < n)
            texts[i] = meta->value.texts[i];
        else
            texts[i] = (pf_text){name, (size_t)snprintf(name, PAD_BYTES, "[PAD%zu]", i)};
    }
    done = done && pf_checkpoint_set_texts(checkpoint, KEY("tokens"), texts, rows, error) &&
           lengthen(checkpoint, KEY("scores"), n, rows, &score, error) &&
           lengthen(checkpoint, KEY("token_type"), n, rows, &unused, error) &&
           lengthen(checkpoint, "performer.tokenizer.strip", n, rows, &no_strip, error);
    pf_free(texts);
    pf_free(names);
    return done;
}

bool pf_vocabulary_to_checkpoint(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                                 pf_error *error) {
    const char *kind = kinds[vocabulary->kind];
    size_t pre = strlen(vocabulary->pre);
    /* Remove the old vocabulary. The new one may borrow from it: the bytes remain valid. */
    pf_checkpoint_drop_meta(checkpoint, KEY(""));
    pf_checkpoint_drop_meta(checkpoint, "performer.tokenizer.");
    return pf_checkpoint_set_text(checkpoint, KEY("model"), kind, strlen(kind), error) &&
           (pre == 0 ||
            pf_checkpoint_set_text(checkpoint, KEY("pre"), vocabulary->pre, pre, error)) &&
           set_texts(checkpoint, KEY("tokens"), vocabulary->pieces, vocabulary->n_pieces, error) &&
           set_scores_and_types(vocabulary, checkpoint, error) &&
           (vocabulary->n_merges == 0 || set_texts(checkpoint, KEY("merges"), vocabulary->merges,
                                                   vocabulary->n_merges, error)) &&
           set_ids(vocabulary, checkpoint, error) && set_flags(vocabulary, checkpoint, error) &&
           pf_tokenizer_keys_write(vocabulary, implies_whole_words(vocabulary), checkpoint,
                                   error) &&
           pf_vocabulary_pad(checkpoint, error);
}
