/* floor 5.2 - history file: the lines typed in earlier chats, in the user's state folder. */
#define _POSIX_C_SOURCE 200809L
#include "history_file.h"

#include "buffer.h"
#include "input.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool history_file_path(char *path, size_t size) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool given = state && *state == '/'; /* the specification ignores relative ones */
    if (!given && !(home && *home == '/')) return false;
    int n = given ? snprintf(path, size, "%s/performer/history", state)
                  : snprintf(path, size, "%s/.local/state/performer/history", home);
    return n > 0 && (size_t)n < size;
}

/* Makes the folders above `path`, for the owner only. */
static bool make_folders(const char *path, pf_error *error) {
    char folder[4096];
    if (strlen(path) >= sizeof folder)
        return pf_fail(error, "%.80s...: the name is too long", path);
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return pf_fail(error, "%s cannot be made: %s", folder, strerror(errno));
    }
    return true;
}

static bool append_escaped(pf_buffer *to, const char *entry, pf_error *error) {
    for (; *entry; entry++) {
        const char *written = *entry == '\n' ? "\\n" : *entry == '\\' ? "\\\\" : NULL;
        if (!pf_buffer_put(to, written ? written : entry, written ? 2 : 1, error)) return false;
    }
    return pf_buffer_put(to, "\n", 1, error);
}

static void unescape(char *line) {
    char *to = line;
    for (; *line; line++) {
        if (*line == '\\' && line[1])
            line++, *to++ = *line == 'n' ? '\n' : *line;
        else
            *to++ = *line;
    }
    *to = '\0';
}

/* Writes bytes [n] to a file for the owner only, with one write. */
static bool write_private(const char *path, int flags, const char *bytes, size_t n,
                          pf_error *error) {
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (file < 0) return pf_fail(error, "%s cannot be written: %s", path, strerror(errno));
    bool good = write(file, bytes, n) == (ssize_t)n;
    if (!good) pf_fail(error, "%s cannot be written: %s", path, strerror(errno));
    close(file);
    return good;
}

bool history_file_add(const char *path, const char *entry, pf_error *error) {
    pf_buffer line = {0};
    bool good = make_folders(path, error) && append_escaped(&line, entry, error) &&
                write_private(path, O_APPEND, line.bytes, line.n, error);
    pf_free(line.bytes);
    return good;
}

/* Replaces the file by its end, from `kept` on. */
static bool shorten(const char *path, const char *kept, size_t n, pf_error *error) {
    char shorter[4200];
    snprintf(shorter, sizeof shorter, "%s.%ld.tmp", path, (long)getpid());
    if (!write_private(shorter, O_EXCL, kept, n, error)) return false;
    if (rename(shorter, path) == 0) return true;
    pf_fail(error, "%s cannot be written: %s", path, strerror(errno));
    unlink(shorter);
    return false;
}

bool history_file_read(const char *path, history_listener add, void *context, pf_error *error) {
    char *text = NULL;
    size_t n = 0, entries = 0;
    struct stat about;
    if (stat(path, &about) != 0 && errno == ENOENT) return true;
    if (!input_read(path, &text, &n, error)) return false;
    for (size_t i = 0; i < n; i++) entries += text[i] == '\n';
    char *at = text;
    const char *stop = text + n;
    bool good = true;
    for (size_t skipped = HISTORY_ENTRIES; skipped < entries; skipped++)
        at = (char *)memchr(at, '\n', (size_t)(stop - at)) + 1;
    if (entries > 2 * HISTORY_ENTRIES) good = shorten(path, at, n - (size_t)(at - text), error);
    for (char *end; good && (end = memchr(at, '\n', (size_t)(stop - at))); at = end + 1) {
        *end = '\0';
        unescape(at);
        good = add(context, at);
    }
    pf_free(text);
    return good;
}
