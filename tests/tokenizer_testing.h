/* floor 6.1 - tokenizer_testing: vocabularies from files and golden ids to compare with. */
#ifndef PF_TOKENIZER_TESTING_H
#define PF_TOKENIZER_TESTING_H

#include "formats.h"
#include "llama2c_tokenizer.h"
#include "memory.h"
#include "rng.h"
#include "testing.h"
#include "tokenizer.h"
#include "utf8.h"
#include "vocabulary_meta.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

/* The tokenizer of a GGUF file. Skips the test case if the file is missing. */
static inline pf_tokenizer *tokenizer_of_gguf(const char *path) {
    need_file(path);
    pf_error error = {""};
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *checkpoint = pf_checkpoint_open(path, &error);
    if (!checkpoint || !pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, &error))
        fail_msg("%s", error.message);
    pf_tokenizer *tokenizer = pf_tokenizer_new(&vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(checkpoint);
    return tokenizer;
}

/* That of llama2.c's tokenizer.bin. `collapse`: treat spaces as SentencePiece does. */
static inline pf_tokenizer *tokenizer_of_bin(const char *path, size_t n_vocab, bool collapse) {
    need_file(path);
    pf_error error = {""};
    pf_file file;
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    if (!pf_file_open(path, &file, &error) ||
        !pf_llama2c_tokenizer_read(file.bytes, n_vocab, &vocabulary, &storage, &error))
        fail_msg("%s", error.message);
    vocabulary.remove_extra_whitespaces = collapse;
    pf_tokenizer *tokenizer = pf_tokenizer_new(&vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    pf_vocabulary_storage_free(&storage);
    pf_file_close(&file);
    return tokenizer;
}

static inline pf_tokens encode(const pf_tokenizer *tokenizer, const char *text, size_t n,
                               unsigned flags) {
    pf_error error = {""};
    pf_tokens ids = {0};
    if (!pf_tokenizer_encode(tokenizer, text, n, flags, &ids, &error))
        fail_msg("%s", error.message);
    return ids;
}

/* Decodes the ids one by one to *n bytes; free them with pf_free. Every chunk must be UTF-8. */
static inline char *decode(const pf_tokenizer *tokenizer, const pf_tokens *ids, size_t *n) {
    size_t room = pf_tokenizer_max_bytes(tokenizer) + 16;
    char *text = pf_calloc(ids->count + 1, room, "a decoded text", NULL);
    assert_non_null(text);
    pf_decoder decoder = {0};
    *n = 0;
    for (size_t i = 0; i < ids->count; i++) {
        size_t chunk = pf_decoder_push(tokenizer, &decoder, ids->ids[i], text + *n);
        assert_true(chunk <= room);
        for (size_t k = 0; k < chunk;) {
            pf_utf8 character = pf_utf8_next(text + *n + k, chunk - k);
            assert_true(character.valid);
            k += character.size;
        }
        *n += chunk;
    }
    *n += pf_decoder_finish(&decoder, text + *n);
    return text;
}

static inline void print_ids(const char *title, const int32_t *ids, size_t n) {
    print_message("#   %s:", title);
    for (size_t i = 0; i < n; i++) print_message(" %d", (int)ids[i]);
    print_message("\n");
}

/* 1 if the text encodes to `expected`; otherwise prints what differs and returns 0. */
static inline size_t same_ids(const pf_tokenizer *tokenizer, const char *text, size_t size,
                              unsigned flags, const int32_t *expected, size_t n) {
    pf_tokens ids = encode(tokenizer, text, size, flags);
    bool same = ids.count == n && (n == 0 || memcmp(ids.ids, expected, n * sizeof *expected) == 0);
    if (!same) {
        print_message("# \"%.*s\"\n", (int)size, text);
        print_ids("want", expected, n);
        print_ids("have", ids.ids, ids.count);
    }
    pf_tokens_free(&ids);
    return same;
}

/* ASSERT_IDS(tokenizer, "literal", flags, id, id, ...) */
#define ASSERT_IDS(tokenizer, text, ...)                                                           \
    do {                                                                                           \
        const int32_t flags_ids[] = {__VA_ARGS__};                                                 \
        assert_true(same_ids(tokenizer, text, sizeof text - 1, (unsigned)flags_ids[0],             \
                             flags_ids + 1, sizeof flags_ids / sizeof *flags_ids - 1));            \
    } while (0)

/* The same for a JSON array of ids. */
static inline size_t same_json(const pf_tokenizer *tokenizer, json_t *text, unsigned flags,
                               json_t *array) {
    int32_t expected[4096];
    size_t n = json_array_size(array);
    assert_true(json_is_array(array) && n <= 4096);
    for (size_t i = 0; i < n; i++)
        expected[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return same_ids(tokenizer, json_string_value(text), json_string_length(text), flags, expected,
                    n);
}

/* "e" and U+0301. llama.cpp does not compose such texts where Qwen's own tokenizer does. */
#define DECOMPOSED "e\xCC\x81"

/* Lines of {"text": ..., KEY: [ids]}: all `lines` of them must agree, except texts that contain
 * `except`, if it is not NULL. */
static inline void assert_golden_except(const pf_tokenizer *tokenizer, const char *path,
                                        const char *key, unsigned flags, size_t lines,
                                        const char *except) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is not there", path);
    size_t count = 0, same = 0;
    json_t *line;
    while ((line = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL))) {
        json_t *text = json_object_get(line, "text");
        bool other = except && strstr(json_string_value(text), except);
        same += other || same_json(tokenizer, text, flags, json_object_get(line, key));
        count++;
        json_decref(line);
    }
    fclose(file);
    assert_int_equal(count, lines);
    assert_int_equal(same, count);
}

static inline void assert_golden(const pf_tokenizer *tokenizer, const char *path, const char *key,
                                 unsigned flags, size_t lines) {
    assert_golden_except(tokenizer, path, key, flags, lines, NULL);
}

/* llama.cpp's vocabulary tests: texts that end with a mark, and a line of ids for each. */
static inline void assert_inp_out(const pf_tokenizer *tokenizer, const char *inp, const char *out,
                                  size_t texts) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    pf_error error = {""};
    pf_file file;
    if (!pf_file_open(inp, &file, &error)) fail_msg("%s", error.message);
    FILE *lines = fopen(out, "rb");
    if (!lines) fail_msg("%s is not there", out);
    const char *text = (const char *)file.bytes.data, *end = text + file.bytes.size;
    size_t count = 0, same = 0;
    static char line[1 << 16];
    while (fgets(line, sizeof line, lines)) {
        const char *next = text;
        while (next + sizeof mark - 1 <= end && memcmp(next, mark, sizeof mark - 1) != 0) next++;
        int32_t expected[4096];
        size_t n = 0;
        char *rest = line;
        for (char *stop = NULL; n < 4096; rest = stop) {
            long id = strtol(rest, &stop, 10);
            if (stop == rest) break;
            expected[n++] = (int32_t)id;
        }
        same += same_ids(tokenizer, text, (size_t)(next - text), 0, expected, n);
        count++;
        text = next + sizeof mark - 1;
    }
    fclose(lines);
    pf_file_close(&file);
    assert_int_equal(count, texts);
    assert_int_equal(same, count);
}

/* CPU time of this process: what else the machine is doing does not count. */
static inline double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* 1 MB without a space must not take quadratic time. */
static inline void assert_linear(const pf_tokenizer *tokenizer, const char *alphabet) {
    size_t n = 1000 * 1000, letters = strlen(alphabet);
    char *text = pf_calloc(n, 1, "a long line", NULL);
    assert_non_null(text);
    pf_rng rng;
    pf_rng_seed(&rng, 7, 0);
    for (size_t i = 0; i < n; i++) text[i] = alphabet[pf_rng_u64(&rng) % letters];
    double start = seconds();
    pf_tokens ids = encode(tokenizer, text, n, 0);
    double took = seconds() - start;
    print_message("# 1 MB of %zu different characters: %zu ids in %.2f s\n", letters, ids.count,
                  took);
    assert_true(took < 10);
    pf_tokens_free(&ids);
    pf_free(text);
}

/* Random valid UTF-8, from NUL to astral planes, favouring what tokenizers treat specially. */
static inline size_t random_text(pf_rng *rng, char *text, size_t max_characters) {
    /* clang-format off */
    static const char *const favourites[] = {
        " ", "  ", "\n", "\r\n", "\t", "'s", "12345", "the", " and",
        "e\xCC\x81", "\xE2\x80\x8D", "\xC2\xA0", "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
        "!?", "<0x41>", "<s>", "\xE4\xBD\xA0", "ZZ",
    };
    /* clang-format on */
    size_t n = 0, count = pf_rng_u64(rng) % (max_characters + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t kind = pf_rng_u64(rng) % 8;
        if (kind < 4) {
            const char *favourite =
                favourites[pf_rng_u64(rng) % (sizeof favourites / sizeof *favourites)];
            memcpy(text + n, favourite, strlen(favourite));
            n += strlen(favourite);
            continue;
        }
        static const uint32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
        uint32_t code = (uint32_t)(pf_rng_u64(rng) % limits[kind - 4]);
        if ((code >= 0xD800 && code < 0xE000) || code == 0x2581) code = 'x';
        n += pf_utf8_write(code, text + n);
    }
    return n;
}

/* decode(encode(x)) = x. */
static inline void assert_round_trips(const pf_tokenizer *tokenizer, int texts) {
    pf_rng rng;
    pf_rng_seed(&rng, 42, 0);
    for (int i = 0; i < texts; i++) {
        char text[512];
        size_t n = random_text(&rng, text, 40), decoded_n = 0;
        pf_tokens ids = encode(tokenizer, text, n, 0);
        char *decoded = decode(tokenizer, &ids, &decoded_n);
        if (decoded_n != n || memcmp(decoded, text, n) != 0) {
            print_message("# \"%.*s\" became \"%.*s\"\n", (int)n, text, (int)decoded_n, decoded);
            fail_msg("text %d does not come back", i);
        }
        pf_free(decoded);
        pf_tokens_free(&ids);
    }
}

#endif
