/* floor 6.3 - test_fuzz: hostile inputs do no harm to any reader; see scripts/fuzz. */
#include "testing.h"

#include "fuzzing.h"

#include <glob.h>

static void replay(const char *path, int (*run)(const uint8_t *data, size_t size)) {
    pf_error error = {""};
    pf_file file;
    if (!pf_file_open(path, &file, &error)) fail_msg("%s", error.message);
    run(file.bytes.data, file.bytes.size);
    pf_file_close(&file);
}

/* tests/make_fuzz_inputs.py made most of them; scripts/fuzz says where new ones come from. */
static void hostile_inputs_do_no_harm(void **state) {
    (void)state;
    for (size_t i = 0; i < FUZZ_TARGETS; i++) {
        char pattern[128];
        glob_t found;
        snprintf(pattern, sizeof pattern, "tests/fuzz/inputs/%s/*", fuzz_targets[i].name);
        if (glob(pattern, 0, NULL, &found) != 0) fail_msg("there is no %s", pattern);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            print_message("# %s\n", found.gl_pathv[k]);
            replay(found.gl_pathv[k], fuzz_targets[i].run);
        }
        globfree(&found);
    }
}

/* The targets themselves work, even where clang is not installed. */
static void every_target_takes_nothing_and_little(void **state) {
    (void)state;
    for (size_t i = 0; i < FUZZ_TARGETS; i++) {
        fuzz_targets[i].run(NULL, 0);
        for (int byte = 0; byte < 256; byte += 15)
            fuzz_targets[i].run(&(uint8_t){(uint8_t)byte}, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_inputs_do_no_harm),
        cmocka_unit_test(every_target_takes_nothing_and_little),
    };
    return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
