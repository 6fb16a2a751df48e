/* floor 3.1 - pre-tokenizer: cuts a text into words that byte-level BPE never merges across. */
#include "pretokenizer.h"

#include "buffer.h"
#include "memory.h"
#include "utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

#define MAX_PATTERNS 8

/* ---- the named patterns ----
 * They are facts of the models' own tokenizer.json files; the names are llama.cpp's. We leave out
 * GPT-2's last alternative, \s+: text that no alternative matches is a word anyway. */

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)" /* U+017F is an s, too */
#define BREAKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MARKS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
/* Llama 3 groups up to three digits, Qwen 2 takes each digit alone. */
#define CL100K(digits) SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "|" MARKS BREAKS
/* o200k splits CamelCase: a word is capitals, then small letters. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K(suffix, digits)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER  \
    "*" suffix "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BREAKS
#define BLOOM                                                                                      \
    " ?[^(\\s|.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C)]+"

/* The letters with case that deepseek-llm lists, one by one. */
#define CASED                                                                                      \
    "[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"                \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}"         \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"                  \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"                       \
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}"                 \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}"                 \
    "\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}"        \
    "\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}"         \
    "\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}"                 \
    "\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}"                  \
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{"     \
    "212D}"                                                                                        \
    "\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}"         \
    "\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}"         \
    "\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}"                 \
    "\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}"                 \
    "\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}"             \
    "\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}"         \
    "\\x{1E900}-\\x{1E943}]"
/* Chinese, Japanese and Korean. */
#define CJK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

typedef struct preset {
    const char *names; /* separated by blanks */
    const char *patterns[MAX_PATTERNS];
} preset;

static const preset presets[] = {
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"gpt-2 mpt olmo jais trillion granite-docling phi-2 exaone4 gigachat", {GPT2}},
    {"llama-bpe llama3 llama-v3 dbrx smaug-bpe chatglm-bpe glm4 falcon3 falcon-h1 pixtral "
     "midm-2.0 lfm2",
     {CL100K("\\p{N}{1,3}")}},
    {"qwen2 stablelm2 hunyuan megrez deepseek-r1-qwen", {CL100K("\\p{N}")}},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b", {"\\p{N}", GPT2}},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"gpt-4o llama4", {O200K("(?:" SUFFIX ")?", "\\p{N}{1,3}")}},
    {"tekken", {O200K("", "\\p{N}")}},
    {"bloom poro-chat gpt3-finnish", {BLOOM}},
    {"viking", {BLOOM, "\\p{N}"}},
    {"deepseek-llm",
     {"[\\r\\n]", "\\s?" CASED "+",
      "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
      "\\s+$", CJK, "\\p{N}+"}},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {"deepseek-v3",
     {"\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
      "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BREAKS}},
};
#define N_PRESETS (sizeof presets / sizeof *presets)

/* True if `name` is one of `names`. */
static bool among(const char *name, const char *names) {
    size_t n = strlen(name);
    for (const char *at = names; n && (at = strstr(at, name)); at += n)
        if ((at == names || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) return true;
    return false;
}

static const preset *find_preset(const char *name, pf_error *error) {
    char list[400] = "";
    size_t n = 0;
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (among(name[0] ? name : "default", presets[i].names)) return &presets[i];
        size_t length = strlen(presets[i].names);
        if (n + length + 2 > sizeof list) continue;
        if (n) list[n++] = ' ';
        memcpy(list + n, presets[i].names, length + 1);
        n += length;
    }
    pf_fail(error, "the pre-tokenizer \"%s\" is unknown; the known ones are %s", name, list);
    return NULL;
}

/* ---- compiling ---- */

struct pf_pretokenizer {
    pcre2_code *codes[MAX_PATTERNS];
    size_t n_codes;
    pcre2_match_context *limits;
};

static void *allocate(size_t size, void *context) {
    (void)context;
    return pf_calloc(size, 1, "a pre-tokenizer", NULL);
}

static void release(void *block, void *context) {
    (void)context;
    pf_free(block);
}

/* ---- white space ----
 * PCRE2's \s takes U+180E for white space, which Unicode and the models' own tokenizers do not. */

#define WHITE                                                                                      \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

/* What stands for \s or \S; NULL: leave it as it is. */
static const char *white_class(char letter, bool in_class) {
    if (letter == 's') return in_class ? WHITE : "[" WHITE "]";
    return letter == 'S' && !in_class ? "[^" WHITE "]" : NULL;
}

/* The length of the part at pattern[i] that is copied as it is: a quotation, an escape, or one
 * byte. */
static size_t part_at(const char *pattern, size_t n, size_t i) {
    if (pattern[i] != '\\' || i + 1 == n) return 1;
    if (pattern[i + 1] != 'Q') return 2;
    for (size_t end = i + 2; end + 1 < n; end++)
        if (pattern[end] == '\\' && pattern[end + 1] == 'E') return end + 2 - i;
    return n - i;
}

/* Appends the pattern with Unicode's white space for \s and \S. */
static bool put_pattern(pf_buffer *out, const char *pattern, size_t n, pf_error *error) {
    bool in_class = false;
    for (size_t i = 0, size; i < n; i += size) {
        size = part_at(pattern, n, i);
        const char *class = size == 2 ? white_class(pattern[i + 1], in_class) : NULL;
        if (size == 1 && pattern[i] == '[') in_class = true;
        if (size == 1 && pattern[i] == ']') in_class = false;
        if (!pf_buffer_put(out, class ? class : pattern + i, class ? strlen(class) : size, error))
            return false;
    }
    return true;
}

static bool out_of_memory(pf_error *error) {
    return pf_fail(error, "there is not enough memory for the pre-tokenizer");
}

static bool compile(pf_pretokenizer *pretokenizer, pcre2_general_context *memory,
                    const char *pattern, size_t n, pf_error *error) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    if (pretokenizer->n_codes == MAX_PATTERNS)
        return pf_fail(error, "a pre-tokenizer with more than %d patterns is not supported",
                       MAX_PATTERNS);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    if (!context) return out_of_memory(error);
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                      &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!compiled && code == PCRE2_ERROR_HEAP_FAILED) return out_of_memory(error);
    if (!compiled) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(code, message, sizeof message);
        return pf_fail(error, "the pre-tokenizer pattern '%.*s' is wrong at byte %zu: %s",
                       n < 120 ? (int)n : 120, pattern, (size_t)offset, (const char *)message);
    }
    pretokenizer->codes[pretokenizer->n_codes++] = compiled;
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it, PCRE2 interprets */
    return true;
}

static bool add_pattern(pf_pretokenizer *pretokenizer, pcre2_general_context *memory,
                        const char *pattern, size_t n, pf_error *error) {
    pf_buffer text = {0};
    bool ok = put_pattern(&text, pattern, n, error) &&
              compile(pretokenizer, memory, text.bytes ? text.bytes : "", text.n, error);
    pf_free(text.bytes);
    return ok;
}

static bool add_preset(pf_pretokenizer *pretokenizer, pcre2_general_context *memory,
                       const char *pre, pf_error *error) {
    const preset *found = find_preset(pre, error);
    if (!found) return false;
    for (size_t i = 0; i < MAX_PATTERNS && found->patterns[i]; i++)
        if (!add_pattern(pretokenizer, memory, found->patterns[i], strlen(found->patterns[i]),
                         error))
            return false;
    return true;
}

pf_pretokenizer *pf_pretokenizer_new(const char *pre, const pf_piece *patterns, size_t n_patterns,
                                     pf_error *error) {
    pf_pretokenizer *pretokenizer = pf_calloc(1, sizeof *pretokenizer, "a pre-tokenizer", error);
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    bool ok = pretokenizer != NULL;
    if (ok && !memory) ok = out_of_memory(error);
    if (ok && n_patterns == 0) ok = add_preset(pretokenizer, memory, pre, error);
    for (size_t i = 0; ok && i < n_patterns; i++)
        ok = add_pattern(pretokenizer, memory, patterns[i].bytes, patterns[i].size, error);
    if (ok) {
        pretokenizer->limits = pcre2_match_context_create(memory);
        if (!pretokenizer->limits) ok = out_of_memory(error);
    }
    pcre2_general_context_free(memory); /* what used it has copied it */
    if (ok) return pretokenizer;
    pf_pretokenizer_free(pretokenizer);
    return NULL;
}

void pf_pretokenizer_free(pf_pretokenizer *pretokenizer) {
    if (!pretokenizer) return;
    for (size_t i = 0; i < pretokenizer->n_codes; i++) pcre2_code_free(pretokenizer->codes[i]);
    pcre2_match_context_free(pretokenizer->limits);
    pf_free(pretokenizer);
}

/* ---- cutting a text ---- */

typedef struct splitter {
    const pf_pretokenizer *pretokenizer;
    pcre2_match_data *match;
    pf_word word;
    void *context;
} splitter;

/* The next match of a pattern at or after `from`, or [n, n). Empty matches do not count. */
static bool next_match(const splitter *s, size_t level, const char *text, size_t n, size_t from,
                       size_t *begin, size_t *end, pf_error *error) {
    /* The text is known to be UTF-8; to check it again for each word would take quadratic time. */
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    const pf_pretokenizer *p = s->pretokenizer;
    int code =
        pcre2_match(p->codes[level], (PCRE2_SPTR)text, n, from, options, s->match, p->limits);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT) /* a repeated group; the interpreter uses the heap */
        code = pcre2_match(p->codes[level], (PCRE2_SPTR)text, n, from, options | PCRE2_NO_JIT,
                           s->match, p->limits);
    *begin = *end = n;
    if (code == PCRE2_ERROR_NOMATCH) return true;
    if (code < 0) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(code, message, sizeof message);
        return pf_fail(error, "pattern %zu of the pre-tokenizer fails on this text: %s", level + 1,
                       (const char *)message);
    }
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(s->match);
    *begin = offsets[0];
    *end = offsets[1];
    if (*begin < from || *end <= *begin) /* \K can do this */
        return pf_fail(error, "pattern %zu of the pre-tokenizer moves backwards", level + 1);
    return true;
}

/* Cuts valid UTF-8 by the patterns from `level` on; recursion is as deep as there are patterns. */
static bool split(const splitter *s, size_t level, const char *text, size_t n, pf_error *error) {
    if (n == 0) return true;
    if (level == s->pretokenizer->n_codes) return s->word(s->context, text, n, error);
    for (size_t from = 0; from < n;) {
        size_t begin, end;
        if (!next_match(s, level, text, n, from, &begin, &end, error) ||
            !split(s, level + 1, text + from, begin - from, error) ||
            !split(s, level + 1, text + begin, end - begin, error))
            return false;
        from = end;
    }
    return true;
}

/* The length of the run of valid UTF-8 at `text`, or of invalid bytes: then *valid is false. */
static size_t run_length(const char *text, size_t n, bool *valid) {
    size_t i = 0;
    *valid = pf_utf8_next(text, n).valid;
    while (i < n) {
        pf_utf8 character = pf_utf8_next(text + i, n - i);
        if (character.valid != *valid) break;
        i += character.size;
    }
    return i;
}

bool pf_pretokenizer_split(const pf_pretokenizer *pretokenizer, const char *text, size_t n,
                           pf_word word, void *context, pf_error *error) {
    splitter s = {.pretokenizer = pretokenizer, .word = word, .context = context};
    s.match = pcre2_match_data_create(1, NULL);
    if (!s.match) return out_of_memory(error);
    bool ok = true, valid;
    for (size_t i = 0, size; ok && i < n; i += size) {
        size = run_length(text + i, n - i, &valid);
        ok = valid ? split(&s, 0, text + i, size, error) : word(context, text + i, size, error);
    }
    pcre2_match_data_free(s.match);
    return ok;
}
