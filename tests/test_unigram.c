/* floor 6.2 - test_unigram: Unigram against SentencePiece (fixtures/unigram.json). */
#include "charsmap.h"
#include "tokenizer_testing.h"

#define FIXTURE "tests/fixtures/unigram.json"

/* Reads bytes in hexadecimal; returns how many. */
static size_t from_hex(const char *hex, char *bytes, size_t room) {
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++) {
        assert_true(n < room);
        bytes[n] = (char)byte;
    }
    return n;
}

/* The vocabulary of one entry of the fixture; pieces [1000] is the caller's. */
static pf_tokenizer *tokenizer_of_entry(json_t *entry, pf_piece *pieces) {
    json_t *list = json_object_get(entry, "pieces");
    size_t n = json_array_size(list);
    assert_true(n > 0 && n <= 1000);
    for (size_t i = 0; i < n; i++) {
        json_t *piece = json_array_get(list, i), *text = json_array_get(piece, 0);
        pieces[i] = (pf_piece){
            .bytes = json_string_value(text),
            .size = json_string_length(text),
            .score = (float)json_number_value(json_array_get(piece, 1)),
            .type = (pf_token_type)json_integer_value(json_array_get(piece, 2)),
        };
    }
    char map[4096];
    const char *hex = json_string_value(json_object_get(entry, "charsmap"));
    assert_non_null(hex);
    const pf_normal_step rules = {
        .kind = PF_NORMAL_CHARSMAP, .from = map, .from_size = from_hex(hex, map, sizeof map)};
    const pf_vocabulary vocabulary = {
        .kind = PF_TOKENIZER_UNIGRAM,
        .pieces = pieces,
        .n_pieces = n,
        .normal_steps = &rules,
        .n_normal_steps = rules.from_size > 0,
        .bos = 1,
        .eos = 2,
        .unk = 0,
        .eot = -1,
        .add_eos = true,
        .add_space_prefix = true,
        .escape_whitespaces = true,
        .byte_fallback = json_is_true(json_object_get(entry, "byte_fallback")),
        .remove_extra_whitespaces =
            json_is_true(json_object_get(entry, "remove_extra_whitespaces")),
    };
    pf_error error = {""};
    pf_tokenizer *tokenizer = pf_tokenizer_new(&vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    return tokenizer;
}

static json_t *fixture(void) {
    json_error_t error;
    json_t *entries = json_load_file(FIXTURE, 0, &error);
    if (!entries) fail_msg("%s: %s", FIXTURE, error.text);
    return entries;
}

static void sentencepiece_ids(void **state) {
    (void)state;
    json_t *entries = fixture(), *entry;
    size_t e;
    json_array_foreach(entries, e, entry) {
        pf_piece pieces[1000];
        pf_tokenizer *tokenizer = tokenizer_of_entry(entry, pieces);
        json_t *texts = json_object_get(entry, "texts"), *pair;
        size_t i, same = 0;
        json_array_foreach(texts, i, pair) {
            same += same_json(tokenizer, json_array_get(pair, 0), 0, json_array_get(pair, 1));
        }
        assert_true(json_array_size(texts) >= 40);
        assert_int_equal(same, json_array_size(texts));
        pf_tokenizer_free(tokenizer);
    }
    assert_int_equal(e, 3);
    json_decref(entries);
}

static void texts_come_back(void **state) {
    (void)state;
    json_t *entries = fixture();
    pf_piece pieces[1000];
    pf_tokenizer *tokenizer = tokenizer_of_entry(json_array_get(entries, 0), pieces);
    assert_round_trips(tokenizer, 2000);
    ASSERT_IDS(tokenizer, "", PF_ENCODE_BOS, 2);
    pf_tokenizer_free(tokenizer);
    json_decref(entries);
}

static void a_long_line_takes_linear_time(void **state) {
    (void)state;
    json_t *entries = fixture();
    pf_piece pieces[1000];
    pf_tokenizer *tokenizer = tokenizer_of_entry(json_array_get(entries, 0), pieces);
    assert_linear(tokenizer, "a");
    assert_linear(tokenizer, "etaoinshrdlu");
    pf_tokenizer_free(tokenizer);
    json_decref(entries);
}

static void user_defined_pieces_win(void **state) {
    (void)state;
    const pf_piece pieces[] = {
        {"<unk>", 5, 0, PF_TOKEN_UNKNOWN, false, false, false, false},
        {"a", 1, -1, PF_TOKEN_NORMAL, false, false, false, false},
        {"b", 1, -1, PF_TOKEN_NORMAL, false, false, false, false},
        {"aab", 3, -1, PF_TOKEN_NORMAL, false, false, false, false},
        {"bb", 2, 0, PF_TOKEN_USER_DEFINED, false, false, false, false},
        {"ab", 2, -50, PF_TOKEN_NORMAL, false, false, false, false},
    };
    const pf_vocabulary vocabulary = {.kind = PF_TOKENIZER_UNIGRAM,
                                      .pieces = pieces,
                                      .n_pieces = 6,
                                      .bos = -1,
                                      .eos = -1,
                                      .unk = 0,
                                      .eot = -1};
    pf_tokenizer *tokenizer = pf_tokenizer_new(&vocabulary, NULL);
    assert_non_null(tokenizer);
    ASSERT_IDS(tokenizer, "aab", 0, 3);
    ASSERT_IDS(tokenizer, "ab", 0, 1, 2); /* -2 is more than -50 */
    ASSERT_IDS(tokenizer, "aabb", 0, 1, 1, 4);
    ASSERT_IDS(tokenizer, "axyb", 0, 1, 0, 2);
    pf_tokenizer_free(tokenizer);
}

/* No broken map is read outside its bytes (make asan) or takes too long. */
static void broken_charsmaps(void **state) {
    (void)state;
    json_t *entries = fixture();
    char map[4096];
    const char *hex = json_string_value(json_object_get(json_array_get(entries, 2), "charsmap"));
    size_t n = from_hex(hex, map, sizeof map), found = 0;
    pf_rng rng;
    pf_rng_seed(&rng, 11, 0);
    for (int i = 0; i < 20000; i++) {
        size_t size = pf_rng_u64(&rng) % (n + 1);
        char *part = pf_calloc(size, 1, "a part", NULL);
        memcpy(part, map, size);
        for (int k = 0; size > 4 && k < 3; k++)
            part[pf_rng_u64(&rng) % size] = (char)pf_rng_u64(&rng);
        const char *to = "";
        size_t to_size = 0;
        found += pf_charsmap_find(part, size, "THE \xEF\xAC\x81", 7, &to, &to_size) > 0;
        if (to_size) assert_true(to >= part && to + to_size < part + size);
        pf_free(part);
    }
    assert_true(found > 0);
    json_decref(entries);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    json_t *entries = fixture();
    pf_piece pieces[1000];
    pf_tokenizer *tokenizer = tokenizer_of_entry(json_array_get(entries, 0), pieces);
    for (long n = 1;; n++) {
        assert_true(n < 100);
        pf_error error = {""};
        pf_tokens ids = {0};
        pf_memory_fail_after(n);
        bool ok = pf_tokenizer_encode(tokenizer, "a king", 6, 0, &ids, &error);
        pf_memory_fail_after(0);
        assert_true(ok == (error.message[0] == '\0'));
        pf_tokens_free(&ids);
        if (ok) break;
    }
    pf_tokenizer_free(tokenizer);
    json_decref(entries);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentencepiece_ids),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(a_long_line_takes_linear_time),
        cmocka_unit_test(user_defined_pieces_win),
        cmocka_unit_test(broken_charsmaps),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
