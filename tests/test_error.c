/* floor 6.2 - test_error: messages are complete, bounded, and may include themselves. */
#include "error.h"
#include "testing.h"

#include <string.h>

static void fail_returns_false_and_formats(void **state) {
    (void)state;
    pf_error error = {""};
    assert_false(pf_fail(&error, "%s: tensor %d is too short", "a.gguf", 7));
    assert_string_equal(error.message, "a.gguf: tensor 7 is too short");
}

static void null_error_is_allowed(void **state) {
    (void)state;
    assert_false(pf_fail(NULL, "%s", "dropped"));
}

static void message_may_quote_the_old_message(void **state) {
    (void)state;
    pf_error error = {""};
    pf_fail(&error, "the file ends early");
    pf_fail(&error, "%s: %s", "model.bin", error.message);
    assert_string_equal(error.message, "model.bin: the file ends early");
}

static void long_message_is_cut_and_terminated(void **state) {
    (void)state;
    struct {
        pf_error error;
        char guard[8];
    } box;
    memset(&box, 'g', sizeof box);
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    pf_fail(&box.error, "%s", text);
    assert_int_equal(strlen(box.error.message), sizeof box.error.message - 1);
    assert_memory_equal(box.guard, "gggggggg", 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_returns_false_and_formats),
        cmocka_unit_test(null_error_is_allowed),
        cmocka_unit_test(message_may_quote_the_old_message),
        cmocka_unit_test(long_message_is_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
