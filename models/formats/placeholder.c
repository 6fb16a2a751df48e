/* floor 3.0 - placeholder: what is sometimes downloaded in place of a file. */
#include "placeholder.h"

#include <string.h>
#include <strings.h>

static bool begins_with(pf_slice bytes, const char *text) {
    size_t n = strlen(text);
    return bytes.size >= n && strncasecmp((const char *)bytes.data, text, n) == 0;
}

static pf_slice without_blanks(pf_slice bytes) {
    size_t n = 0;
    if (begins_with(bytes, "\xEF\xBB\xBF")) n = 3; /* a byte order mark */
    while (n < bytes.size && n < 256 && bytes.data[n] && strchr(" \t\r\n", bytes.data[n])) n++;
    return (pf_slice){bytes.data + n, bytes.size - n};
}

/* The number behind "size " at the beginning of a line, in megabytes; 0 if there is none. */
static double megabytes(pf_slice bytes) {
    double size = 0;
    for (size_t i = 0; i + 6 < bytes.size; i++) {
        if (memcmp(bytes.data + i, "\nsize ", 6) != 0) continue;
        for (i += 6; i < bytes.size && bytes.data[i] >= '0' && bytes.data[i] <= '9'; i++)
            size = 10 * size + (bytes.data[i] - '0');
    }
    return size / 1e6;
}

bool pf_placeholder_check(pf_slice bytes, pf_error *error) {
    pf_slice text = without_blanks(bytes);
    if (bytes.size <= 1024 && begins_with(text, "version https://git-lfs"))
        return pf_fail(error,
                       "this is a Git LFS pointer, not the file itself, which has %.1f MB; run "
                       "`git lfs pull` in its folder, or download the file",
                       megabytes(text));
    if (begins_with(text, "<!doctype html") || begins_with(text, "<html") ||
        begins_with(text, "<?xml"))
        return pf_fail(error, "this is a web page, not the file itself; download the file again "
                              "by its download link, and log in first if the site asks for it");
    return true;
}
