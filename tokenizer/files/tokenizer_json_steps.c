/* floor 3.3 - tokenizer.json's steps: its normaliser, pre-tokenizer and post-processor. */
#include "tokenizer_json_steps.h"

#include <string.h>

#define SPACE "\xe2\x96\x81" /* U+2581 */

/* GPT-2's pattern, which ByteLevel applies by default: the preset "gpt-2". */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct {
    pf_json_steps *steps;
    pf_vocabulary_storage *storage;
    pf_error *error;
} reader;

typedef bool (*read_step)(const reader *r, const json_t *step, const char *type);

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool is(const char *text, const char *other) { return text && strcmp(text, other) == 0; }

/* The flag, `otherwise` if it is absent. */
static bool flag_of(const json_t *object, const char *key, bool otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static bool unsupported(const reader *r, const char *what, const char *type,
                        const char *supported) {
    return pf_fail(r->error,
                   "the %s \"%.40s\" of tokenizer.json is not supported; the supported ones are %s",
                   what, type ? type : "?", supported);
}

/* Reads a step, or each step of a Sequence; null means no steps. The parser limits the depth. */
static bool each_step(const reader *r, const json_t *step, const char *list, read_step read) {
    size_t i;
    json_t *part;
    const char *type = text_of(step, "type");
    if (!step || json_is_null(step)) return true;
    if (!is(type, "Sequence")) return read(r, step, type);
    json_array_foreach(json_object_get(step, list), i, part) {
        if (!each_step(r, part, list, read)) return false;
    }
    return true;
}

/* A pattern {"String": ...} or {"Regex": ...}. */
static const char *get_pattern(const json_t *step, bool *is_regex, size_t *size) {
    const json_t *pattern = json_object_get(step, "pattern");
    const json_t *text = json_object_get(pattern, "Regex");
    *is_regex = text != NULL;
    if (!text) text = json_object_get(pattern, "String");
    *size = json_string_length(text);
    return json_string_value(text);
}

/* ---- normaliser ---- */

static bool add_step(const reader *r, pf_normal_kind kind, const char *from, size_t from_size,
                     const char *to, size_t to_size) {
    pf_json_steps *s = r->steps;
    if (s->n_steps == PF_MAX_JSON_STEPS)
        return pf_fail(r->error, "a normaliser with more than %d steps is not supported",
                       PF_MAX_JSON_STEPS);
    pf_normal_step *step = &s->steps[s->n_steps++];
    *step = (pf_normal_step){.kind = kind, .from_size = from_size, .to_size = to_size};
    step->from = pf_vocabulary_storage_text(r->storage, from, from_size, r->error);
    step->to = pf_vocabulary_storage_text(r->storage, to, to_size, r->error);
    return step->from && step->to;
}

static bool add_replacement(const reader *r, const json_t *step) {
    bool is_regex;
    size_t from_size;
    const char *from = get_pattern(step, &is_regex, &from_size), *to = text_of(step, "content");
    if (!from || !to) return pf_fail(r->error, "a Replace step lacks a pattern or its content");
    if (is_regex && is(from, " {2,}") && (is(to, " ") || is(to, SPACE))) {
        r->steps->trim = true; /* what converters write for remove_extra_whitespaces */
        return true;
    }
    if (is_regex)
        return pf_fail(r->error,
                       "a normaliser that replaces the pattern '%.60s' is not supported; "
                       "only fixed texts are",
                       from);
    if (is(from, " ") && is(to, SPACE)) {
        r->steps->escape = true;
        return true;
    }
    return add_step(r, PF_NORMAL_REPLACE, from, from_size, to, strlen(to));
}

static bool add_prefix(const reader *r, const json_t *step) {
    const char *text = text_of(step, "prepend");
    if (!text) return pf_fail(r->error, "a Prepend step has no text");
    if (!is(text, SPACE)) return add_step(r, PF_NORMAL_PREPEND, NULL, 0, text, strlen(text));
    r->steps->prefix = true;
    return true;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* SentencePiece's compiled rules, in base64. Decoded into the room reserved for the base64 text. */
static bool add_charsmap(const reader *r, const json_t *step) {
    const char *text = text_of(step, "precompiled_charsmap");
    size_t size = 0, n = text ? strlen(text) : 0;
    uint32_t bits = 0;
    if (n == 0) return true;
    char *bytes = (char *)(uintptr_t)pf_vocabulary_storage_text(r->storage, text, n, r->error);
    if (!bytes) return false;
    while (n > 0 && text[n - 1] == '=') n--;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) return pf_fail(r->error, "a precompiled_charsmap is not valid base64");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4) bytes[size++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
    }
    if (r->steps->n_steps == PF_MAX_JSON_STEPS)
        return pf_fail(r->error, "too many normaliser steps");
    r->steps->steps[r->steps->n_steps++] =
        (pf_normal_step){.kind = PF_NORMAL_CHARSMAP, .from = bytes, .from_size = size, .to = ""};
    return true;
}

static bool read_normalizer(const reader *r, const json_t *step, const char *type) {
    static const struct {
        const char *type;
        pf_normal_kind kind;
    } plain[] = {{"NFC", PF_NORMAL_NFC},
                 {"NFD", PF_NORMAL_NFD},
                 {"NFKC", PF_NORMAL_NFKC},
                 {"NFKD", PF_NORMAL_NFKD},
                 {"Lowercase", PF_NORMAL_LOWERCASE}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is(type, plain[i].type)) return add_step(r, plain[i].kind, NULL, 0, NULL, 0);
    if (is(type, "Prepend")) return add_prefix(r, step);
    if (is(type, "Replace")) return add_replacement(r, step);
    if (is(type, "Precompiled")) return add_charsmap(r, step);
    if (is(type, "Strip")) { /* in converted SentencePiece models, next to Replace " {2,}" */
        r->steps->trim = true;
        return true;
    }
    return unsupported(r, "normaliser", type,
                       "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Precompiled, Sequence");
}

/* ---- pre-tokenizer ---- */

/* The pattern is a constant or in the storage. */
static bool add_pattern(const reader *r, const char *pattern, size_t size) {
    pf_json_steps *s = r->steps;
    if (s->n_patterns == PF_MAX_JSON_STEPS)
        return pf_fail(r->error, "a pre-tokenizer of more than %d patterns is not supported",
                       PF_MAX_JSON_STEPS);
    s->patterns[s->n_patterns++] = (pf_piece){.bytes = pattern, .size = size};
    return pattern != NULL;
}

static bool add_split(const reader *r, const json_t *step) {
    bool is_regex, invert = flag_of(step, "invert", false);
    size_t size;
    const char *pattern = get_pattern(step, &is_regex, &size);
    const char *behavior = text_of(step, "behavior");
    if (!pattern) return pf_fail(r->error, "a Split step has no pattern");
    /* "Isolated": each match is a word, and so is the text between two matches. "Removed",
     * inverted, keeps only the matches: the same if nothing lies between them, as with all models
     * that use it. */
    if (!is(behavior, "Isolated") && !(is(behavior, "Removed") && invert))
        return pf_fail(r->error,
                       "a Split step with the behavior \"%.40s\" is not supported; only "
                       "\"Isolated\" is",
                       behavior ? behavior : "?");
    if (is_regex)
        return add_pattern(r, pf_vocabulary_storage_text(r->storage, pattern, size, r->error),
                           size);
    if (strstr(pattern, "\\E"))
        return pf_fail(r->error, "a Split step at \"\\E\" is not supported");
    const char *quoted = pf_vocabulary_storage_text(r->storage, "\\Q", 2, r->error);
    return quoted && pf_vocabulary_storage_text(r->storage, pattern, size, r->error) &&
           pf_vocabulary_storage_text(r->storage, "\\E", 2, r->error) &&
           add_pattern(r, quoted, size + 4);
}

static bool add_byte_level(const reader *r, const json_t *step) {
    r->steps->byte_level = true;
    if (flag_of(step, "add_prefix_space", false))
        return pf_fail(r->error, "ByteLevel with add_prefix_space is not supported");
    return !flag_of(step, "use_regex", true) || add_pattern(r, GPT2, sizeof GPT2 - 1);
}

static bool add_metaspace(const reader *r, const json_t *step) {
    const char *scheme = text_of(step, "prepend_scheme"), *mark = text_of(step, "replacement");
    if (mark && !is(mark, SPACE))
        return pf_fail(r->error, "Metaspace with \"%.8s\" for a space is not supported", mark);
    r->steps->escape = true;
    r->steps->prefix = scheme ? !is(scheme, "never") : flag_of(step, "add_prefix_space", true);
    r->steps->prefix_if_none = true;
    r->steps->prefix_at_start = is(scheme, "first");
    r->steps->split_words = flag_of(step, "split", true);
    return true;
}

static bool read_pre_tokenizer(const reader *r, const json_t *step, const char *type) {
    if (r->steps->byte_level)
        return pf_fail(r->error, "the pre-tokenizer \"%.40s\" after ByteLevel is not supported",
                       type ? type : "?");
    if (is(type, "ByteLevel")) return add_byte_level(r, step);
    if (is(type, "Split")) return add_split(r, step);
    if (is(type, "Digits"))
        return flag_of(step, "individual_digits", false) ? add_pattern(r, "\\p{N}", 5)
                                                         : add_pattern(r, "\\p{N}+", 6);
    if (is(type, "Metaspace")) return add_metaspace(r, step);
    return unsupported(r, "pre-tokenizer", type, "ByteLevel, Split, Digits, Metaspace, Sequence");
}

bool pf_json_read_steps(const json_t *normalizer, const json_t *pre_tokenizer, pf_json_steps *steps,
                        pf_vocabulary_storage *storage, pf_error *error) {
    const reader r = {steps, storage, error};
    *steps = (pf_json_steps){0};
    return each_step(&r, normalizer, "normalizers", read_normalizer) &&
           each_step(&r, pre_tokenizer, "pretokenizers", read_pre_tokenizer);
}

/* ---- post-processor ---- */

/* The id of a template's special token, -1 unless it is exactly one id of the vocabulary. */
static int32_t template_id(const json_t *processor, const json_t *token,
                           const pf_vocabulary *vocabulary) {
    const char *name = text_of(token, "id");
    const json_t *ids =
        json_object_get(json_object_get(json_object_get(processor, "special_tokens"), name), "ids");
    const json_t *id = json_array_get(ids, 0);
    if (json_array_size(ids) != 1 || !json_is_integer(id) || json_integer_value(id) < 0 ||
        (uint64_t)json_integer_value(id) >= vocabulary->n_pieces)
        return -1;
    return (int32_t)json_integer_value(id);
}

/* [BOS] $A [EOS], either of them optional. */
static bool read_template(const json_t *processor, pf_vocabulary *vocabulary, pf_error *error) {
    size_t i;
    json_t *part;
    bool seen_text = false;
    json_array_foreach(json_object_get(processor, "single"), i, part) {
        const json_t *token = json_object_get(part, "SpecialToken");
        if (!token) {
            seen_text = true;
            continue;
        }
        bool *add = seen_text ? &vocabulary->add_eos : &vocabulary->add_bos;
        int32_t id = template_id(processor, token, vocabulary);
        if (*add || id < 0)
            return pf_fail(error, "the template of the post-processor is not supported; it may "
                                  "add one special token before the text and one after it");
        *add = true;
        *(seen_text ? &vocabulary->eos : &vocabulary->bos) = id;
    }
    return true;
}

bool pf_json_read_post_processor(const json_t *processor, pf_vocabulary *vocabulary,
                                 pf_error *error) {
    size_t i;
    json_t *part;
    const char *type = text_of(processor, "type");
    if (!processor || json_is_null(processor) || is(type, "ByteLevel")) return true;
    if (is(type, "TemplateProcessing")) return read_template(processor, vocabulary, error);
    if (!is(type, "Sequence"))
        return pf_fail(error,
                       "the post-processor \"%.40s\" of tokenizer.json is not supported; "
                       "the supported ones are ByteLevel, TemplateProcessing and Sequence",
                       type ? type : "?");
    json_array_foreach(json_object_get(processor, "processors"), i, part) {
        if (!pf_json_read_post_processor(part, vocabulary, error)) return false;
    }
    return true;
}
