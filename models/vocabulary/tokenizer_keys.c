/* floor 3.6 - tokenizer keys: our own keys, for what a vocabulary has but GGUF has no keys for. */
#include "tokenizer_keys.h"

#include "memory.h"

#include <string.h>

#define OURS(name) "performer.tokenizer." name
#define CHARSMAP "tokenizer.ggml.precompiled_charsmap"
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool text_is(pf_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

/* The name of each step, and the number of its arguments. */
static const struct {
    const char *name;
    size_t arguments;
} step_names[] = {
    [PF_NORMAL_NFC] = {"nfc", 0},
    [PF_NORMAL_NFD] = {"nfd", 0},
    [PF_NORMAL_NFKC] = {"nfkc", 0},
    [PF_NORMAL_NFKD] = {"nfkd", 0},
    [PF_NORMAL_LOWERCASE] = {"lowercase", 0},
    [PF_NORMAL_PREPEND] = {"prepend", 1},
    [PF_NORMAL_REPLACE] = {"replace", 2},
    [PF_NORMAL_CHARSMAP] = {"charsmap", 0},
};

/* *rules = the compiled rules, empty if there are none. Some converters write them as i8. */
static bool get_charsmap(const pf_checkpoint *checkpoint, pf_text *rules, pf_error *error) {
    const pf_meta *meta = pf_checkpoint_find_meta(checkpoint, CHARSMAP);
    const void *array = NULL;
    bool is_signed = meta && meta->type == PF_META_ARRAY && meta->element_type == PF_META_I8;
    *rules = (pf_text){"", 0};
    if (!pf_checkpoint_get_array(checkpoint, CHARSMAP, is_signed ? PF_META_I8 : PF_META_U8, &array,
                                 &rules->size, error))
        return false;
    if (array) rules->bytes = array;
    return true;
}

/* *step = the step texts[*at] and its arguments; advances *at. */
static bool read_step(const pf_text *texts, size_t n, size_t *at, pf_text charsmap,
                      pf_normal_step *step, pf_error *error) {
    for (size_t kind = 0; kind < COUNT(step_names); kind++) {
        size_t arguments = step_names[kind].arguments;
        if (!text_is(texts[*at], step_names[kind].name) || arguments >= n - *at) continue;
        const pf_text *last = &texts[*at + arguments];
        *step = (pf_normal_step){.kind = (pf_normal_kind)kind, .from = "", .to = ""};
        if (arguments >= 1) step->to = last->bytes, step->to_size = last->size;
        if (arguments == 2) step->from = last[-1].bytes, step->from_size = last[-1].size;
        if (kind == PF_NORMAL_CHARSMAP)
            step->from = charsmap.bytes, step->from_size = charsmap.size;
        *at += 1 + arguments;
        return true;
    }
    return pf_fail(error, "the normaliser step \"%.*s\" is unknown, or lacks its arguments",
                   (int)(texts[*at].size < 40 ? texts[*at].size : 40), texts[*at].bytes);
}

static bool implies_nfc(const pf_vocabulary *vocabulary) {
    return vocabulary->kind == PF_TOKENIZER_BPE && strcmp(vocabulary->pre, "qwen2") == 0;
}

static bool read_steps(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                       pf_vocabulary_storage *storage, pf_error *error) {
    static const pf_text only_charsmap[] = {{"charsmap", 8}}, only_nfc[] = {{"nfc", 3}};
    const void *array = NULL;
    pf_text charsmap;
    size_t n = 0;
    if (!get_charsmap(checkpoint, &charsmap, error) ||
        !pf_checkpoint_get_array(checkpoint, OURS("normalizer"), PF_META_STRING, &array, &n, error))
        return false;
    bool silent = !pf_checkpoint_find_meta(checkpoint, OURS("normalizer"));
    if (silent && charsmap.size > 0) array = only_charsmap, n = 1;
    if (silent && implies_nfc(vocabulary)) array = only_nfc, n = 1;
    if (!array || n == 0) return true;
    storage->steps = pf_calloc(n, sizeof *storage->steps, "a vocabulary", error);
    if (!storage->steps) return false;
    for (size_t at = 0; at < n;)
        if (!read_step(array, n, &at, charsmap, &storage->steps[vocabulary->n_normal_steps++],
                       error))
            return false;
    vocabulary->normal_steps = storage->steps;
    return true;
}

static bool read_patterns(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                          pf_vocabulary_storage *storage, pf_error *error) {
    const void *array = NULL;
    size_t n = 0;
    if (!pf_checkpoint_get_array(checkpoint, OURS("patterns"), PF_META_STRING, &array, &n, error))
        return false;
    if (n == 0) return true;
    const pf_text *texts = array;
    storage->patterns = pf_calloc(n, sizeof *storage->patterns, "a vocabulary", error);
    if (!storage->patterns) return false;
    for (size_t i = 0; i < n; i++)
        storage->patterns[i] = (pf_piece){.bytes = texts[i].bytes, .size = texts[i].size};
    vocabulary->patterns = storage->patterns;
    vocabulary->n_patterns = n;
    return true;
}

/* Phi-3's markers, <|user|> and others, but not <|endoftext|>; and </s>. */
static void imply_strips(const pf_checkpoint *checkpoint, pf_vocabulary_storage *storage,
                         size_t n_pieces) {
    pf_text family = {"", 0}, model = {"", 0};
    if (!pf_checkpoint_get_text(checkpoint, "general.architecture", &family, NULL) ||
        !pf_checkpoint_get_text(checkpoint, "tokenizer.ggml.model", &model, NULL) ||
        !text_is(family, "phi3") || !text_is(model, "llama"))
        return;
    for (size_t i = 0; i < n_pieces; i++) {
        pf_piece *piece = &storage->pieces[i];
        pf_text text = {piece->bytes, piece->size};
        bool special = piece->type == PF_TOKEN_CONTROL || piece->type == PF_TOKEN_USER_DEFINED;
        bool marker = text.size > 4 && memcmp(text.bytes, "<|", 2) == 0;
        piece->strip_right =
            special && ((marker && !text_is(text, "<|endoftext|>")) || text_is(text, "</s>"));
    }
}

static bool read_strips(const pf_checkpoint *checkpoint, pf_vocabulary_storage *storage,
                        size_t n_pieces, pf_error *error) {
    const void *array = NULL;
    size_t count = 0;
    if (!pf_checkpoint_get_array(checkpoint, OURS("strip"), PF_META_U8, &array, &count, error))
        return false;
    if (array && count != n_pieces)
        return pf_fail(error, "%s has %zu entries, but there are %zu tokens", OURS("strip"), count,
                       n_pieces);
    const uint8_t *bits = array;
    for (size_t i = 0; bits && i < n_pieces; i++) {
        storage->pieces[i].strip_left = bits[i] & 1;
        storage->pieces[i].strip_right = bits[i] >> 1 & 1;
        storage->pieces[i].normalized = bits[i] >> 2 & 1;
        storage->pieces[i].in_words = bits[i] >> 3 & 1;
    }
    if (!bits) imply_strips(checkpoint, storage, n_pieces);
    return true;
}

static bool read_ends(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary, pf_error *error) {
    const void *array = NULL;
    size_t n = 0;
    if (!pf_checkpoint_get_array(checkpoint, OURS("ends"), PF_META_U32, &array, &n, error))
        return false;
    if (n > PF_MAX_ENDS)
        return pf_fail(error, "%s has %zu ids, but at most %d are supported", OURS("ends"), n,
                       PF_MAX_ENDS);
    for (size_t i = 0; i < n; i++) {
        uint32_t id;
        memcpy(&id, (const char *)array + i * sizeof id, sizeof id);
        if (id >= vocabulary->n_pieces)
            return pf_fail(error, "%s has the id %u, but there are only %zu tokens", OURS("ends"),
                           id, vocabulary->n_pieces);
        vocabulary->ends[vocabulary->n_ends++] = (int32_t)id;
    }
    return true;
}

bool pf_tokenizer_keys_read(const pf_checkpoint *checkpoint, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error) {
    return read_patterns(checkpoint, vocabulary, storage, error) &&
           read_steps(checkpoint, vocabulary, storage, error) &&
           read_strips(checkpoint, storage, vocabulary->n_pieces, error) &&
           read_ends(checkpoint, vocabulary, error) &&
           pf_checkpoint_get_bool(checkpoint, OURS("prefix_if_none"), &vocabulary->prefix_if_none,
                                  error) &&
           pf_checkpoint_get_bool(checkpoint, OURS("prefix_at_start"), &vocabulary->prefix_at_start,
                                  error) &&
           pf_checkpoint_get_bool(checkpoint, OURS("ignore_merges"), &vocabulary->ignore_merges,
                                  error);
}

/* ---- writing ---- */

/* texts = the name of a step and its arguments; returns their number. */
static size_t step_texts(const pf_normal_step *step, pf_text texts[3]) {
    size_t arguments = step_names[step->kind].arguments;
    texts[0] = (pf_text){step_names[step->kind].name, strlen(step_names[step->kind].name)};
    if (arguments == 2) texts[1] = (pf_text){step->from, step->from_size};
    if (arguments >= 1) texts[arguments] = (pf_text){step->to, step->to_size};
    return 1 + arguments;
}

static bool set_steps(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint, pf_error *error) {
    const pf_normal_step *steps = vocabulary->normal_steps;
    size_t n = vocabulary->n_normal_steps, n_texts = 0;
    if (n == 0 && !implies_nfc(vocabulary)) return true;
    pf_text *texts = pf_calloc(n, 3 * sizeof *texts, "a vocabulary", error);
    bool done = texts != NULL;
    for (size_t i = 0; done && i < n; i++) {
        n_texts += step_texts(&steps[i], texts + n_texts);
        if (steps[i].kind == PF_NORMAL_CHARSMAP)
            done = pf_checkpoint_set_array(checkpoint, CHARSMAP, PF_META_U8, steps[i].from,
                                           steps[i].from_size, error);
    }
    done = done && pf_checkpoint_set_texts(checkpoint, OURS("normalizer"), texts, n_texts, error);
    pf_free(texts);
    return done;
}

static bool set_strips(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                       pf_error *error) {
    size_t n = vocabulary->n_pieces;
    pf_text family = {"", 0};
    bool any = false,
         implied = pf_checkpoint_get_text(checkpoint, "general.architecture", &family, NULL) &&
                   text_is(family, "phi3");
    uint8_t *bits = pf_calloc(n, 1, "a vocabulary", error);
    if (!bits) return false;
    for (size_t i = 0; i < n; i++) {
        const pf_piece *piece = &vocabulary->pieces[i];
        bits[i] = (uint8_t)(piece->strip_left | piece->strip_right << 1 | piece->normalized << 2 |
                            piece->in_words << 3);
        any |= bits[i] != 0;
    }
    any |= implied;
    bool done =
        !any || pf_checkpoint_set_array(checkpoint, OURS("strip"), PF_META_U8, bits, n, error);
    pf_free(bits);
    return done;
}

static bool set_patterns(const pf_vocabulary *vocabulary, pf_checkpoint *checkpoint,
                         pf_error *error) {
    size_t n = vocabulary->n_patterns;
    if (n == 0) return true;
    pf_text *texts = pf_calloc(n, sizeof *texts, "a vocabulary", error);
    if (!texts) return false;
    for (size_t i = 0; i < n; i++)
        texts[i] = (pf_text){vocabulary->patterns[i].bytes, vocabulary->patterns[i].size};
    bool done = pf_checkpoint_set_texts(checkpoint, OURS("patterns"), texts, n, error);
    pf_free(texts);
    return done;
}

bool pf_tokenizer_keys_write(const pf_vocabulary *vocabulary, bool ignore_merges_implied,
                             pf_checkpoint *checkpoint, pf_error *error) {
    return set_patterns(vocabulary, checkpoint, error) &&
           set_steps(vocabulary, checkpoint, error) && set_strips(vocabulary, checkpoint, error) &&
           (vocabulary->n_ends == 0 ||
            pf_checkpoint_set_array(checkpoint, OURS("ends"), PF_META_U32, vocabulary->ends,
                                    vocabulary->n_ends, error)) &&
           (!vocabulary->prefix_if_none ||
            pf_checkpoint_set_bool(checkpoint, OURS("prefix_if_none"), true, error)) &&
           (!vocabulary->prefix_at_start ||
            pf_checkpoint_set_bool(checkpoint, OURS("prefix_at_start"), true, error)) &&
           (vocabulary->ignore_merges == ignore_merges_implied ||
            pf_checkpoint_set_bool(checkpoint, OURS("ignore_merges"), vocabulary->ignore_merges,
                                   error));
}
