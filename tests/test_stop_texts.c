/* floor 6.3 - tests of stop texts: the same however the text is cut; nothing of one is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rng.h"
#include "stop_texts.h"

#include <string.h>

enum { MOST = 400 };

/* Feeds text [n] in pieces of 1 to `longest` bytes; what is shown goes to shown [MOST]. */
static bool feed(pf_stop_texts *stop, const char *text, size_t n, size_t longest, pf_rng *rng,
                 char *shown) {
    size_t used = 0, n_out = 0;
    const char *out;
    pf_error error = {""};
    pf_stop_texts_again(stop);
    for (size_t i = 0; i < n && !stop->found;) {
        size_t size = 1 + (size_t)(pf_rng_uniform(rng) * (double)longest);
        if (size > n - i) size = n - i;
        assert_true(pf_stop_texts_add(stop, text + i, size, &out, &n_out, &error));
        memcpy(shown + used, out, n_out);
        used += n_out;
        i += size;
    }
    bool found = stop->found;
    pf_stop_texts_end(stop, &out, &n_out);
    memcpy(shown + used, out, n_out);
    shown[used + n_out] = '\0';
    return found;
}

/* The definition: the first end of a stop text, and there the longest. Returns where it starts. */
static size_t first_stop(const char *const *texts, size_t n_texts, const char *text, size_t n) {
    for (size_t end = 1; end <= n; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < n_texts; i++) {
            size_t size = strlen(texts[i]);
            if (size <= end && size > longest && !memcmp(text + end - size, texts[i], size))
                longest = size;
        }
        if (longest) return end - longest;
    }
    return n;
}

static void test_any_cut(void **state) {
    (void)state;
    static const char *const lists[][4] = {{"aab", "ba", NULL},
                                           {"abab", "bb", "cabc", NULL},
                                           {"a", NULL},
                                           {"abcabcabd", "cc", NULL},
                                           {"é", "aé", "ècb", NULL}};
    pf_rng rng;
    pf_rng_seed(&rng, 3, 0);
    for (int round = 0; round < 2000; round++) {
        const char *const *texts = lists[round % 5];
        size_t n_texts = 0, n = (size_t)(pf_rng_uniform(&rng) * 40);
        while (texts[n_texts]) n_texts++;
        char text[MOST] = "", shown[MOST];
        static const char *const letters[] = {"a", "b", "c", "d", "é", "è"};
        for (size_t i = 0; i < n; i++)
            strcat(text, letters[(size_t)(pf_rng_uniform(&rng) * (round % 5 == 4 ? 6 : 4))]);
        n = strlen(text);
        pf_error error = {""};
        pf_stop_texts stop;
        assert_true(pf_stop_texts_start(&stop, texts, n_texts, &error));
        size_t wanted = first_stop(texts, n_texts, text, n);
        for (size_t longest = 1; longest < 20; longest += 3) {
            bool found = feed(&stop, text, n, longest, &rng, shown);
            assert_int_equal(strlen(shown), wanted);
            assert_memory_equal(shown, text, wanted);
            assert_true(found == (wanted < n));
        }
        pf_stop_texts_free(&stop);
    }
}

static void test_nothing_is_held_that_can_be_shown(void **state) {
    (void)state;
    static const char *const texts[] = {"User:"};
    pf_error error = {""};
    pf_stop_texts stop;
    const char *out;
    size_t n;
    assert_true(pf_stop_texts_start(&stop, texts, 1, &error));
    assert_true(pf_stop_texts_add(&stop, "Hi. Us", 6, &out, &n, &error));
    assert_int_equal(n, 4); /* "Us" may begin it */
    assert_true(pf_stop_texts_add(&stop, "ual", 3, &out, &n, &error));
    assert_int_equal(n, 5);
    assert_memory_equal(out, "Usual", 5);
    assert_true(pf_stop_texts_add(&stop, " User", 5, &out, &n, &error));
    assert_int_equal(n, 1);
    pf_stop_texts_end(&stop, &out, &n);
    assert_int_equal(n, 4);
    assert_memory_equal(out, "User", 4);
    pf_stop_texts_free(&stop);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"", "\xC3"};
    for (int i = 0; i < 2; i++) {
        pf_error error = {""};
        pf_stop_texts stop;
        assert_false(pf_stop_texts_start(&stop, texts + i, 1, &error));
        assert_true(strlen(error.message) > 10);
        pf_stop_texts_free(&stop);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_nothing_is_held_that_can_be_shown),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
