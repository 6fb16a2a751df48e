/* floor 6.2 - test_normalize: UTF-8 characters and normalisation steps. */
#include "normalize.h"
#include "tokenizer_testing.h"

#include <stdlib.h>

/* ---- utf8 ---- */

static void every_code_point_comes_back(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        char bytes[4];
        size_t n = pf_utf8_write(code, bytes);
        pf_utf8 character = pf_utf8_next(bytes, n);
        bool surrogate = code >= 0xD800 && code < 0xE000;
        assert_int_equal(character.valid, !surrogate);
        if (surrogate) continue;
        assert_int_equal(character.code, code);
        assert_int_equal(character.size, n);
        for (size_t part = 1; part < n; part++) {
            character = pf_utf8_next(bytes, part);
            assert_true(character.incomplete && !character.valid && character.size == part);
        }
    }
}

/* Unicode 15, table 3-8: how many bytes one U+FFFD stands for. */
static void invalid_bytes_are_cut_as_unicode_recommends(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t sizes[8];
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82", {1, 1, 1, 1, 1, 1, 1, 1}},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF", {1, 1, 1, 1, 1, 1, 1, 1}},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF", {1, 1, 1, 1, 1, 1, 1, 1}},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF", {2, 1, 3, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = 0, part = 0;
        while (at < 8) {
            pf_utf8 character = pf_utf8_next(cases[i].bytes + at, 8 - at);
            assert_int_equal(character.size, cases[i].sizes[part++]);
            at += character.size;
        }
    }
}

/* ---- normalisation ---- */

static void assert_normal(const pf_normal_step *steps, size_t n_steps, const char *text,
                          const char *expected) {
    pf_error error = {""};
    char *result = NULL;
    size_t size = 0;
    if (!pf_normalize(steps, n_steps, text, strlen(text), &result, &size, &error))
        fail_msg("%s", error.message);
    assert_int_equal(size, strlen(expected));
    if (size) assert_memory_equal(result, expected, size);
    pf_free(result);
}

static void normal_forms(void **state) {
    (void)state;
    const pf_normal_step nfc = {.kind = PF_NORMAL_NFC}, nfd = {.kind = PF_NORMAL_NFD},
                         nfkc = {.kind = PF_NORMAL_NFKC}, nfkd = {.kind = PF_NORMAL_NFKD},
                         lower = {.kind = PF_NORMAL_LOWERCASE};
    static const char text[] = "e\xCC\x81\xEF\xAC\x81\xC2\xB2\xC3\x89"; /* e ´ fi-ligature ² É */
    assert_normal(&nfc, 1, text, "\xC3\xA9\xEF\xAC\x81\xC2\xB2\xC3\x89");
    assert_normal(&nfd, 1, text, "e\314\201\357\254\201\302\262E\xCC\x81");
    assert_normal(&nfkc, 1, text, "\303\251fi2\xC3\x89");
    assert_normal(&nfkd, 1, text, "e\314\201fi2E\xCC\x81");
    assert_normal(&lower, 1, text, "e\xCC\x81\xEF\xAC\x81\xC2\xB2\xC3\xA9");
    assert_normal(&nfc, 1, "", "");
    assert_normal(&nfc, 1, "e\314\201\377e\xCC\x81\xC3", "\xC3\xA9\xFF\xC3\xA9\xC3");
    /* Hangul: jamo to a syllable */
    assert_normal(&nfc, 1, "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C");
}

static void steps_in_order(void **state) {
    (void)state;
    const pf_normal_step llama[] = {{.kind = PF_NORMAL_PREPEND, .to = "\xE2\x96\x81", .to_size = 3},
                                    {.kind = PF_NORMAL_REPLACE,
                                     .from = " ",
                                     .from_size = 1,
                                     .to = "\xE2\x96\x81",
                                     .to_size = 3}};
    assert_normal(llama, 2, "a b", "\342\226\201a\342\226\201b");
    assert_normal(llama, 2, "", "");
    const pf_normal_step shrink[] = {{.kind = PF_NORMAL_REPLACE, .from = "aa", .from_size = 2}};
    assert_normal(shrink, 1, "aaaba", "aba");
    assert_normal(NULL, 0, "abc", "abc");
    pf_error error = {""};
    char *result;
    size_t size;
    const pf_normal_step unknown = {.kind = (pf_normal_kind)77};
    assert_false(pf_normalize(&unknown, 1, "a", 1, &result, &size, &error));
}

/* Consecutive marks are sorted; a million of them must not take quadratic time. */
static void many_marks_take_linear_time(void **state) {
    (void)state;
    const pf_normal_step nfc = {.kind = PF_NORMAL_NFC};
    size_t n = 1000 * 1000, size = 0;
    char *text = pf_calloc(n, 1, "a text", NULL), *result = NULL;
    for (size_t i = 0; i < n; i += 2) memcpy(text + i, i % 4 ? "\xCC\x81" : "\xCC\xA3", 2);
    double start = seconds();
    assert_true(pf_normalize(&nfc, 1, text, n, &result, &size, NULL));
    assert_true(seconds() - start < 5);
    pf_free(result);
    pf_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_comes_back),
        cmocka_unit_test(invalid_bytes_are_cut_as_unicode_recommends),
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(steps_in_order),
        cmocka_unit_test(many_marks_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
