/* floor 6.2 - test_pretokenizer: words against Hugging Face's (fixtures/pretokenizers.json). */
#include "pretokenizer.h"
#include "tokenizer_testing.h"

#define FIXTURE "tests/fixtures/pretokenizers.json"

/* One name of each preset. */
static const char *const names[] = {
    "",           "default", "gpt-2",  "llama-bpe", "qwen2",        "smollm",        "falcon",
    "gpt-4o",     "tekken",  "bloom",  "viking",    "deepseek-v3",  "mpt",           "refact",
    "minerva-7b", "lfm2",    "llama4", "gigachat",  "deepseek-llm", "deepseek-coder"};
#define N_NAMES (sizeof names / sizeof *names)

static pf_pretokenizer *pretokenizer_of(const char *name) {
    pf_error error = {""};
    pf_pretokenizer *pretokenizer = pf_pretokenizer_new(name, NULL, 0, &error);
    if (!pretokenizer) fail_msg("%s", error.message);
    return pretokenizer;
}

/* The rest of a text, and of the list of its words (or NULL). */
typedef struct expected {
    const char *rest;
    size_t n, words;
    json_t *list;
    bool differs;
} expected;

static bool compare_word(void *context, const char *word, size_t n, pf_error *error) {
    (void)error;
    expected *e = context;
    assert_true(n > 0 && n <= e->n && word == e->rest); /* in order, without a gap */
    json_t *want = json_array_get(e->list, e->words++);
    if (e->list)
        e->differs |=
            !want || json_string_length(want) != n || memcmp(json_string_value(want), word, n) != 0;
    e->rest += n;
    e->n -= n;
    return true;
}

static bool cut(const pf_pretokenizer *pretokenizer, const char *text, size_t n, json_t *list) {
    pf_error error = {""};
    expected e = {.rest = text, .n = n, .list = list};
    if (!pf_pretokenizer_split(pretokenizer, text, n, compare_word, &e, &error))
        fail_msg("%s", error.message);
    assert_int_equal(e.n, 0);
    return !e.differs && (!list || e.words == json_array_size(list));
}

static void words_of_hugging_face(void **state) {
    (void)state;
    json_error_t error;
    json_t *fixture = json_load_file(FIXTURE, 0, &error), *cuts, *words, *word;
    if (!fixture) fail_msg("%s: %s", FIXTURE, error.text);
    const char *name;
    size_t i, k, texts = 0, same = 0;
    json_object_foreach(fixture, name, cuts) {
        pf_pretokenizer *pretokenizer = pretokenizer_of(name);
        json_array_foreach(cuts, i, words) {
            char text[1024];
            size_t n = 0;
            json_array_foreach(words, k, word) {
                assert_true(n + json_string_length(word) <= sizeof text);
                memcpy(text + n, json_string_value(word), json_string_length(word));
                n += json_string_length(word);
            }
            bool ok = cut(pretokenizer, text, n, words);
            if (!ok) print_message("# %s: \"%.*s\"\n", name, (int)n, text);
            same += ok;
            texts++;
        }
        pf_pretokenizer_free(pretokenizer);
    }
    assert_true(texts >= 9 * 30);
    assert_int_equal(same, texts);
    json_decref(fixture);
}

static void words_are_the_text(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        pf_pretokenizer *pretokenizer = pretokenizer_of(names[i]);
        pf_rng rng;
        pf_rng_seed(&rng, 5, i);
        for (int t = 0; t < 500; t++) {
            char text[512];
            size_t n = random_text(&rng, text, 40);
            if (n && t % 2) text[pf_rng_u64(&rng) % n] = (char)pf_rng_u64(&rng); /* not UTF-8 */
            cut(pretokenizer, text, n, NULL);
        }
        pf_pretokenizer_free(pretokenizer);
    }
}

static void long_runs_take_linear_time(void **state) {
    (void)state;
    static const char *const units[] = {
        " ",        "\n",           "a",        "A",    "1",    "!", "'", " \n", "\t ", "aB",
        "\xCC\x81", "\xE4\xB8\xAD", "\xC2\xA0", "\xFF", "a\xFF"};
    size_t n = 1000 * 1000;
    char *text = pf_calloc(n, 1, "a text", NULL);
    double start = seconds();
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        for (size_t i = 0; i < n; i++) text[i] = units[u][i % strlen(units[u])];
        for (size_t i = 1; i < 12; i++) {
            pf_pretokenizer *pretokenizer = pretokenizer_of(names[i]);
            double one = seconds();
            cut(pretokenizer, text, n, NULL);
            one = seconds() - one;
            if (one > 0.5)
                print_message("# %s takes %.2f s for 1 MB of text %zu\n", names[i], one, u);
            pf_pretokenizer_free(pretokenizer);
        }
    }
    print_message("# 165 MB in %.2f s\n", seconds() - start);
    assert_true(seconds() - start < 100);
    pf_free(text);
}

static void patterns_of_a_file(void **state) {
    (void)state;
    pf_error error = {""};
    const pf_piece two[] = {{.bytes = "b+", .size = 2}, {.bytes = "a", .size = 1}};
    pf_pretokenizer *pretokenizer = pf_pretokenizer_new("nonsense", two, 2, &error);
    assert_non_null(pretokenizer);
    json_t *words = json_pack("[sssss]", "a", "bb", "a", "a", "cc");
    assert_true(cut(pretokenizer, "abbaacc", 7, words));
    json_decref(words);
    pf_pretokenizer_free(pretokenizer);

    const pf_piece empty = {.bytes = "x*", .size = 2}; /* empty matches do not count */
    pretokenizer = pf_pretokenizer_new("", &empty, 1, &error);
    assert_non_null(pretokenizer);
    words = json_pack("[sss]", "a", "xx", "b");
    assert_true(cut(pretokenizer, "axxb", 4, words));
    json_decref(words);
    pf_pretokenizer_free(pretokenizer);
}

/* A repeated group needs a frame for each repetition, more than PCRE2's JIT has room for. */
static void long_words_of_repeated_groups(void **state) {
    (void)state;
    pf_error error = {""};
    static char text[100000];
    memset(text, 'a', sizeof text);
    const pf_piece pattern = {.bytes = "(?:\\p{Lu}?\\p{Ll})+", .size = 18};
    pf_pretokenizer *pretokenizer = pf_pretokenizer_new("", &pattern, 1, &error);
    assert_non_null(pretokenizer);
    json_t *words = json_pack("[s#]", text, (int)sizeof text);
    assert_true(cut(pretokenizer, text, sizeof text, words)); /* one word */
    json_decref(words);
    pf_pretokenizer_free(pretokenizer);
}

static void hostile_patterns_are_refused(void **state) {
    (void)state;
    pf_error error = {""};
    static const char *const wrong[] = {"(", "[a", "\\C", "(?<=a*)b", "\xFF"};
    for (size_t i = 0; i < 5; i++) {
        const pf_piece pattern = {.bytes = wrong[i], .size = strlen(wrong[i])};
        assert_null(pf_pretokenizer_new("", &pattern, 1, &error));
    }
    pf_piece many[9];
    for (size_t i = 0; i < 9; i++) many[i] = (pf_piece){.bytes = "a", .size = 1};
    assert_null(pf_pretokenizer_new("", many, 9, &error));
    assert_non_null(strstr(error.message, "more than 8"));

    static const char *const evil[] = {"(a+)+[bc]", "a\\Kb|(?=ab\\K)", "(?R)?a", "(a|aa)+$"};
    char text[64];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < 4; i++) {
        const pf_piece pattern = {.bytes = evil[i], .size = strlen(evil[i])};
        pf_pretokenizer *pretokenizer = pf_pretokenizer_new("", &pattern, 1, &error);
        if (!pretokenizer) continue;
        double start = seconds();
        expected e = {.rest = text, .n = sizeof text};
        bool ok = pf_pretokenizer_split(pretokenizer, text, sizeof text, compare_word, &e, &error);
        print_message("# %s: %s, %.2f s\n", evil[i], ok ? "works" : error.message,
                      seconds() - start);
        assert_true(seconds() - start < 5);
        pf_pretokenizer_free(pretokenizer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_hugging_face),
        cmocka_unit_test(words_are_the_text),
        cmocka_unit_test(long_runs_take_linear_time),
        cmocka_unit_test(patterns_of_a_file),
        cmocka_unit_test(long_words_of_repeated_groups),
        cmocka_unit_test(hostile_patterns_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
