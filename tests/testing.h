/* floor 6.0 - testing: cmocka with the headers it needs, and what every test program shares. */
#ifndef PF_TESTING_H
#define PF_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

/* Ends the test case as skipped; tests/run shows the reason. */
#define SKIP_BECAUSE(...)                                                                          \
    do {                                                                                           \
        print_message("# skipped: " __VA_ARGS__);                                                  \
        print_message("\n");                                                                       \
        skip();                                                                                    \
    } while (0)

/* Skips the test case if a file of ../shared (golden data, not in this repository) is missing. */
static inline void need_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) SKIP_BECAUSE("%s is not there", path);
    if (file) fclose(file);
}

#endif
