/* floor 6.2 - test_tokenizer_files: every tokenizer format, by way of GGUF keys, to golden ids. */
#include "sentencepiece_model.h"
#include "tokenizer_files.h"
#include "tokenizer_json.h"
#include "tokenizer_testing.h"
#include "vocab_merges.h"

#include <sys/stat.h>
#include <unistd.h>

#define DATA "../shared/data/"
#define FIXTURES "tests/fixtures/tokenizers/"
#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

/* The tokenizer of a file after a conversion: read, written to keys, read again. */
static pf_tokenizer *tokenizer_of_file(const char *path) {
    need_file(path);
    pf_error error = {""};
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *checkpoint = pf_checkpoint_new("made", &error);
    assert_non_null(checkpoint);
    if (!pf_tokenizer_file_to_checkpoint(path, checkpoint, &error) ||
        !pf_vocabulary_from_checkpoint(checkpoint, &vocabulary, &storage, &error))
        fail_msg("%s", error.message);
    pf_tokenizer *tokenizer = pf_tokenizer_new(&vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(checkpoint);
    return tokenizer;
}

/* ---- goldens ---- */

static void sentencepiece_models_give_their_ids(void **state) {
    (void)state;
    pf_tokenizer *t = tokenizer_of_file(DATA "tokenizers/open_llama_3b/tokenizer.model");
    assert_golden(t, DATA "tokenizers/open_llama_3b/golden_sentencepiece.jsonl", "sentencepiece", 0,
                  75);
    pf_tokenizer_free(t);
    t = tokenizer_of_file(DATA "models/stories260K/tok512.model");
    assert_golden(t, DATA "models/stories260K/golden_tok512.jsonl", "sentencepiece", PF_ENCODE_BOS,
                  28);
    pf_tokenizer_free(t);
    t = tokenizer_of_file(DATA "models/babyllama-tok105/tok105.model"); /* no byte fallback */
    assert_false(pf_tokenizer_vocabulary(t)->byte_fallback);
    assert_true(pf_tokenizer_vocabulary(t)->remove_extra_whitespaces);
    pf_tokenizer_free(t);
}

static void gpt2_is_the_same_from_all_its_files(void **state) {
    (void)state;
    static const char *const files[] = {DATA "tokenizers/gpt2/ggml-vocab-gpt-2.gguf",
                                        DATA "tokenizers/gpt2/tokenizer.json",
                                        DATA "tokenizers/gpt2/encoder.json",
                                        DATA "tokenizers/gpt2/vocab.bpe", DATA "tokenizers/gpt2"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        pf_tokenizer *t = tokenizer_of_file(files[i]);
        const pf_vocabulary *v = pf_tokenizer_vocabulary(t);
        assert_inp_out(t, DATA "tokenizers/gpt2/ggml-vocab-gpt-2.gguf.inp",
                       DATA "tokenizers/gpt2/ggml-vocab-gpt-2.gguf.out", 46);
        assert_int_equal(v->n_pieces, 50257);
        assert_true(v->eos == 50256 && !v->add_bos && !v->add_eos);
        assert_string_equal(v->pre, "gpt-2");
        ASSERT_IDS(t, "a<|endoftext|>b", PF_ENCODE_SPECIAL, 64, 50256, 65);
        pf_tokenizer_free(t);
    }
}

/* The jsonl next to a tokenizer.json has the ids of Hugging Face's library
 * (make_tokenizer_fixtures.py). */
static void assert_lines(const char *name, const char *pre, size_t lines) {
    char path[128], golden[128];
    snprintf(path, sizeof path, FIXTURES "%s.json", name);
    snprintf(golden, sizeof golden, FIXTURES "%s.jsonl", name);
    print_message("# %s\n", name);
    pf_tokenizer *t = tokenizer_of_file(path);
    assert_string_equal(pf_tokenizer_vocabulary(t)->pre, pre);
    assert_golden(t, golden, "ids", PF_ENCODE_BOS | PF_ENCODE_SPECIAL, lines);
    pf_tokenizer_free(t);
}

static void assert_fixture(const char *name, const char *pre) { assert_lines(name, pre, 28); }

static void byte_level_files_give_the_ids_of_hugging_face(void **state) {
    (void)state;
    assert_fixture("gpt2", "gpt-2");
    assert_fixture("llama3", "llama-bpe");
    assert_fixture("qwen2", "qwen2");
    assert_fixture("smollm", "smollm");
    assert_fixture("custom", "");
}

static void sentencepiece_as_json_gives_the_ids_of_hugging_face(void **state) {
    (void)state;
    assert_fixture("llama2", "");
    assert_fixture("llama2-new", "");
    assert_fixture("unigram", "");
}

/* Added tokens that are looked for in the normalised text; and white space that one strips. */
static void added_tokens_are_found_where_hugging_face_finds_them(void **state) {
    (void)state;
    assert_lines("llama2-added", "", 38);
    assert_lines("llama2-new-added", "", 38);
    assert_lines("custom-added", "", 38);
    assert_lines("unigram-added", "", 38);
}

/* make_symbols_fixture.py */
static void user_defined_symbols_stay_in_the_text(void **state) {
    (void)state;
    static const char *const kinds[] = {"bpe", "unigram"};
    for (size_t i = 0; i < 2; i++) {
        char path[128], golden[128];
        snprintf(path, sizeof path, FIXTURES "symbols-%s.model", kinds[i]);
        snprintf(golden, sizeof golden, FIXTURES "symbols-%s.jsonl", kinds[i]);
        pf_tokenizer *t = tokenizer_of_file(path);
        assert_golden(t, golden, "ids", 0, 100);
        pf_tokenizer_free(t);
    }
}

/* A GGUF file has no key for what a token strips, and other programs' have none of ours. */
static void markers_of_phi3_take_the_space_behind_them(void **state) {
    (void)state;
    static const char *const texts[] = {"<unk>",         "<s>", "</s>", "<|user|>",
                                        "<|endoftext|>", "\n",  "a",    " "};
    static const int32_t types[] = {2, 3, 4, 3, 3, 1, 1, 1};
    enum { N = sizeof types / sizeof *types };
    pf_text pieces[N];
    for (size_t i = 0; i < N; i++) pieces[i] = (pf_text){texts[i], strlen(texts[i])};
    for (int phi3 = 0; phi3 < 2; phi3++) {
        pf_error error = {""};
        pf_vocabulary vocabulary;
        pf_vocabulary_storage storage = {0};
        pf_checkpoint *c = pf_checkpoint_new("made", &error);
        assert_true(c &&
                    pf_checkpoint_set_text(c, "general.architecture", phi3 ? "phi3" : "llama",
                                           phi3 ? 4 : 5, &error) &&
                    pf_checkpoint_set_text(c, "tokenizer.ggml.model", "llama", 5, &error) &&
                    pf_checkpoint_set_bool(c, "tokenizer.ggml.add_space_prefix", false, &error) &&
                    pf_checkpoint_set_bool(c, "tokenizer.ggml.escape_whitespaces", false, &error) &&
                    pf_checkpoint_set_texts(c, "tokenizer.ggml.tokens", pieces, N, &error) &&
                    pf_checkpoint_set_array(c, "tokenizer.ggml.token_type", PF_META_I32, types, N,
                                            &error) &&
                    pf_vocabulary_from_checkpoint(c, &vocabulary, &storage, &error));
        pf_tokenizer *t = pf_tokenizer_new(&vocabulary, &error);
        assert_non_null(t);
        if (phi3) {
            ASSERT_IDS(t, "<|user|>\n\na\n</s> a", PF_ENCODE_SPECIAL, 3, 6, 5, 2, 6);
            ASSERT_IDS(t, "<|endoftext|>\na", PF_ENCODE_SPECIAL, 4, 5, 6);
        } else {
            ASSERT_IDS(t, "<|user|>\n\na</s> a", PF_ENCODE_SPECIAL, 3, 5, 5, 6, 2, 7, 6);
        }
        pf_tokenizer_free(t);
        pf_vocabulary_storage_free(&storage);
        pf_checkpoint_free(c);
    }
}

/* ---- hostile files ---- */

static bool read_json(const char *text, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool good = pf_tokenizer_json_read((pf_slice){(const uint8_t *)text, strlen(text)}, &vocabulary,
                                       &storage, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}

#define MODEL(vocab, merges, rest)                                                                 \
    "{\"model\": {\"type\": \"BPE\", \"vocab\": " vocab ", \"merges\": " merges                    \
    "}, \"pre_tokenizer\": {\"type\": \"ByteLevel\"}" rest "}"

static void wrong_json_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason; /* NULL: good */
    } cases[] = {
        {MODEL("{\"a\": 0, \"b\": 1, \"ab\": 2}", "[\"a b\"]", ""), NULL},
        {MODEL("{\"a\": 0, \"b\": 1, \"ab\": 2}", "[[\"a\", \"b\"]]", ""), NULL},
        {"{}", "no \"model\""},
        {"[]", "not an object"},
        {"{\"model\": {\"type\": \"WordPiece\"}}", "\"WordPiece\" of tokenizer.json"},
        {MODEL("7", "[]", ""), "no vocabulary"},
        {MODEL("{}", "[]", ""), "no pieces"},
        {MODEL("{\"a\": 0, \"b\": 0}", "[]", ""), "the same id 0"},
        {MODEL("{\"a\": 0, \"a\": 1}", "[]", ""), "duplicate object key"},
        {MODEL("{\"a\": -1}", "[]", ""), "not a number from 0 up"},
        {MODEL("{\"a\": 4294967296}", "[]", ""), "an id of 4294967296"},
        {MODEL("{\"a\": 2000000000}", "[]", ""), "an id of 2000000000"},
        {MODEL("{\"a\": 0}", "[\"a\"]", ""), "merge 0 is not a pair"},
        {MODEL("{\"a\": 0}", "[\"a b c\"]", ""), "merge 0 is not a pair"},
        {MODEL("{\"a\": 0}", "[[\"a\"]]", ""), "merge 0 is not a pair"},
        {MODEL("{\"a\": 0}", "[7]", ""), "merge 0 is not a pair"},
        {MODEL("{\"a\": 0}", "[]", ", \"added_tokens\": [{\"id\": 1}]"), "lacks an id"},
        {MODEL("{\"a\": 0}", "[]",
               ", \"added_tokens\": [{\"id\": 1, \"content\": \"x\", \"single_word\": true}]"),
         "single_word"},
        {MODEL("{\"a\": 0}", "[]", ", \"normalizer\": {\"type\": \"BertNormalizer\"}"),
         "the normaliser \"BertNormalizer\""},
        {MODEL("{\"a\": 0}", "[]", ", \"normalizer\": 7"), "the normaliser \"?\""},
        {MODEL("{\"a\": 0}", "[]", ", \"post_processor\": {\"type\": \"BertProcessing\"}"),
         "\"BertProcessing\""},
        {MODEL(
             "{\"a\": 0}", "[]",
             ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "
             "[{\"SpecialToken\": {\"id\": \"x\"}}], \"special_tokens\": {\"x\": {\"ids\": [9]}}}"),
         "the template of the post-processor"},
        {"{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}, \"pre_tokenizer\": "
         "{\"type\": \"Whitespace\"}}",
         "the pre-tokenizer \"Whitespace\""},
        {"{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}}", "without U+2581"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", \"b\"]]}}", "not a pair"},
        {"{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", 1]], \"unk_id\": 5}, "
         "\"pre_tokenizer\": {\"type\": \"Metaspace\"}}",
         "unk_id is 5"},
        /* "abc" = "a" + "bc" is a merge, "ab" + "c" is not */
        {"{\"model\": {\"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4, \"abc\": "
         "5}, "
         "\"merges\": [\"a b\", \"b c\", \"a bc\"]}, \"pre_tokenizer\": {\"type\": \"Metaspace\", "
         "\"split\": false}}",
         "not those of a SentencePiece model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        bool good = read_json(cases[i].text, &error);
        if (good != !cases[i].reason) fail_msg("case %zu: %s", i, error.message);
        if (cases[i].reason) ASSERT_SAYS(error, cases[i].reason);
    }
}

static void deep_and_huge_json_is_refused_at_once(void **state) {
    (void)state;
    pf_error error = {""};
    size_t n = (size_t)20 << 20;
    char *text = pf_calloc(n + 1, 1, "a text", &error);
    assert_non_null(text);
    double start = seconds();
    memset(text, '[', n);
    memcpy(text, "{\"a\":", 5);
    assert_false(read_json(text, &error));
    ASSERT_SAYS(error, "nested deeper than 32");
    for (size_t i = 6; i < n; i++) text[i] = i % 2 ? '1' : ',';
    assert_false(read_json(text, &error));
    ASSERT_SAYS(error, "more than the 6000000 values");
    assert_true(seconds() - start < 1);
    pf_free(text);
}

static bool read_model(const void *bytes, size_t n, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool good = pf_sentencepiece_model_read((pf_slice){bytes, n}, &vocabulary, &storage, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static void wrong_protobuf_is_refused(void **state) {
    (void)state;
#define PIECE                                                                                      \
    "\x0a\x08\x0a\x01"                                                                             \
    "a"                                                                                            \
    "\x15\x00\x00\x80\xbf" /* "a", score -1 */
    static const struct {
        const char *bytes;
        size_t n;
        const char *reason; /* NULL: good */
    } cases[] = {
        {PIECE, 10, NULL},
        {"", 0, "no pieces"},
        {"\x0a\xff\xff\xff\xff\x0f"
         "a",
         7, "list of pieces"}, /* 4 GiB */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "list of pieces"},
        {"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 13, "list of pieces"},
        {"\x0b", 1, "list of pieces"}, /* a group */
        {"\x0a\x00", 2, "a piece"},    /* empty */
        {"\x0a\x03\x0a\x05"
         "a",
         5, "a piece"}, /* longer than its message */
        {"\x0a\x05\x0a\x01"
         "a\x18\x09",
         7, "a piece"}, /* type 9 */
        {"\x0a\x08\x0a\x01"
         "a\x15\x00\x00\xc0\x7f",
         10, "a piece"}, /* NaN */
        {PIECE "\x12\x02\x18\x03", 14, "SentencePiece word model"},
        {PIECE "\x12\x02\x18\x04", 14, "SentencePiece character model"},
        {PIECE "\x12\x03\xc0\x01\x01", 15, "treat_whitespace_as_suffix"},
        {PIECE "\x12\x01\x18", 13, "trainer_spec"},
        {PIECE "\x1a\x02\x12\x05", 14, "normalizer_spec"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pf_error error = {""};
        bool good = read_model(cases[i].bytes, cases[i].n, &error);
        if (good != !cases[i].reason) fail_msg("case %zu: %s", i, error.message);
        if (cases[i].reason) ASSERT_SAYS(error, cases[i].reason);
    }
}

static void damaged_models_never_crash(void **state) {
    (void)state;
    need_file(DATA "models/stories260K/tok512.model");
    pf_error error = {""};
    pf_file file;
    assert_true(pf_file_open(DATA "models/stories260K/tok512.model", &file, &error));
    uint8_t *copy = pf_calloc(file.bytes.size, 1, "a copy", &error);
    assert_non_null(copy);
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    for (int round = 0; round < 3000; round++) {
        size_t n = 1 + pf_rng_u64(&rng) % file.bytes.size;
        memcpy(copy, file.bytes.data, n);
        for (int k = 0; k < 4; k++) copy[pf_rng_u64(&rng) % n] = (uint8_t)pf_rng_u64(&rng);
        read_model(copy, n, &error); /* the sanitizers watch */
    }
    pf_free(copy);
    pf_file_close(&file);
}

/* Mutated files are read to their end or refused; so are good files while allocations fail. */
static void damaged_json_never_crashes(void **state) {
    (void)state;
    static const char *const names[] = {"llama2", "unigram", "custom", "llama3"};
    static const char bytes[] = "{}[]\",:0-9\\ue";
    pf_rng rng;
    pf_rng_seed(&rng, 4, 0);
    for (size_t i = 0; i < 4; i++) {
        pf_error error = {""};
        pf_file file;
        char path[128];
        snprintf(path, sizeof path, FIXTURES "%s.json", names[i]);
        assert_true(pf_file_open(path, &file, &error));
        char *copy = pf_strndup((const char *)file.bytes.data, file.bytes.size, &error);
        assert_non_null(copy);
        size_t refused = 0;
        for (int round = 0; round < 400; round++) {
            memcpy(copy, file.bytes.data, file.bytes.size);
            for (int k = 0; k < 2; k++)
                copy[pf_rng_u64(&rng) % file.bytes.size] = bytes[pf_rng_u64(&rng) % 14];
            refused += !read_json(copy, &error);
        }
        assert_true(refused > 100);
        memcpy(copy, file.bytes.data, file.bytes.size);
        long n = 0;
        for (bool good = false; !good && n < 100; n++) {
            pf_memory_fail_after(n + 1);
            good = read_json(copy, &error);
            pf_memory_fail_after(0);
        }
        assert_true(n > 3 && n < 100);
        pf_free(copy);
        pf_file_close(&file);
    }
}

static void merges_and_vocabularies_need_each_other(void **state) {
    (void)state;
    pf_error error = {""};
    pf_vocabulary v;
    pf_vocabulary_storage storage = {0};
    char folder[64], path[96];
    snprintf(folder, sizeof folder, "/tmp/performer-test-merges-%ld", (long)getpid());
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("#version: 0.2\na b\n", file);
    fclose(file);
    assert_false(pf_tokenizer_file_read(path, 0, &v, &storage, &error));
    ASSERT_SAYS(error, "vocab.json or encoder.json, is not in the same folder");
    assert_false(pf_tokenizer_file_read(folder, 0, &v, &storage, &error));
    ASSERT_SAYS(error, "the folder has no tokenizer.json");
    unlink(path);
    rmdir(folder);
    const char *vocab = "{\"a\": 0, \"b\": 1, \"ab\": 2}", *wrong = "a b\r\n\na b c\n";
    const pf_slice vocab_bytes = {(const uint8_t *)vocab, strlen(vocab)};
    assert_false(pf_vocab_merges_read(
        vocab_bytes, (pf_slice){(const uint8_t *)wrong, strlen(wrong)}, &v, &storage, &error));
    ASSERT_SAYS(error, "line 3 of the merges");
    pf_vocabulary_storage_free(&storage);
    assert_true(pf_vocab_merges_read(vocab_bytes, (pf_slice){(const uint8_t *)wrong, 5}, &v,
                                     &storage, &error));
    assert_true(v.n_merges == 1 && v.merges[0].size == 3);
    pf_vocabulary_storage_free(&storage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece_models_give_their_ids),
        cmocka_unit_test(gpt2_is_the_same_from_all_its_files),
        cmocka_unit_test(byte_level_files_give_the_ids_of_hugging_face),
        cmocka_unit_test(sentencepiece_as_json_gives_the_ids_of_hugging_face),
        cmocka_unit_test(markers_of_phi3_take_the_space_behind_them),
        cmocka_unit_test(user_defined_symbols_stay_in_the_text),
        cmocka_unit_test(added_tokens_are_found_where_hugging_face_finds_them),
        cmocka_unit_test(wrong_json_is_refused),
        cmocka_unit_test(deep_and_huge_json_is_refused_at_once),
        cmocka_unit_test(wrong_protobuf_is_refused),
        cmocka_unit_test(damaged_models_never_crash),
        cmocka_unit_test(damaged_json_never_crashes),
        cmocka_unit_test(merges_and_vocabularies_need_each_other),
    };
    return cmocka_run_group_tests_name("tokenizer_files", tests, NULL, NULL);
}
