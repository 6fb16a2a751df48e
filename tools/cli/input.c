/* floor 5.1 - input: texts and token ids from files. */
#define _POSIX_C_SOURCE 200809L
#include "input.h"

#include "memory.h"

#include <jansson.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool too_long(const char *name, pf_error *error) {
    return pf_fail(error,
                   "%s is longer than %zu MB, the most that is read as one text; give a part "
                   "of it",
                   name, INPUT_MOST_BYTES / 1000000);
}

/* A file whose size is known is refused before it is read. */
static bool is_too_long(FILE *file) {
    struct stat status;
    return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) &&
           (uintmax_t)status.st_size > INPUT_MOST_BYTES;
}

static bool read_stream(FILE *file, const char *name, char **text, size_t *n, pf_error *error) {
    size_t capacity = 1 << 16, used = 0;
    char *bytes = pf_calloc(capacity, 1, "the input", error);
    while (bytes) {
        used += fread(bytes + used, 1, capacity - 1 - used, file);
        if (used < capacity - 1) break;
        char *grown =
            used > INPUT_MOST_BYTES ? NULL : pf_realloc(bytes, capacity, 2, "the input", NULL);
        if (!grown) {
            pf_free(bytes);
            return used > INPUT_MOST_BYTES
                       ? too_long(name, error)
                       : pf_fail(error,
                                 "%s is too large for the memory there is: %.1f MB, and it goes "
                                 "on; give a part of it",
                                 name, (double)used / 1e6);
        }
        bytes = grown;
        capacity *= 2;
    }
    if (!bytes) return false;
    bytes[used] = 0;
    *text = bytes;
    *n = used;
    return true;
}

bool input_read(const char *path, char **text, size_t *n, pf_error *error) {
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *file = from_stdin ? stdin : fopen(path, "rb");
    if (!file) return pf_fail(error, "%s cannot be read: %s", path, strerror(errno));
    errno = 0;
    const char *name = from_stdin ? "standard input" : path;
    bool good = is_too_long(file) ? too_long(name, error) : read_stream(file, name, text, n, error);
    if (good && ferror(file)) {
        good = pf_fail(error, "%s cannot be read: %s", name, strerror(errno ? errno : EIO));
        pf_free(*text);
        *text = NULL;
    }
    if (!from_stdin) fclose(file);
    return good;
}

pf_tokens *input_texts_add(input_texts *texts, pf_error *error) {
    if (texts->count == texts->capacity) {
        size_t capacity = texts->capacity ? 2 * texts->capacity : 16;
        pf_tokens *grown = pf_realloc(texts->texts, capacity, sizeof *grown, "the texts", error);
        if (!grown) return NULL;
        texts->texts = grown;
        texts->capacity = capacity;
    }
    texts->texts[texts->count] = (pf_tokens){0};
    return &texts->texts[texts->count++];
}

void input_texts_free(input_texts *texts) {
    for (size_t i = 0; i < texts->count; i++) pf_tokens_free(&texts->texts[i]);
    pf_free(texts->texts);
    *texts = (input_texts){0};
}

bool input_parse_ids(const char *text, size_t n, const char *name, pf_tokens *ids,
                     pf_error *error) {
    static const char spaces[] = " \t\r\n";
    size_t line = 1;
    for (const char *at = text, *end = text + n; at < end;) {
        size_t length = strcspn(at, spaces);
        if (length == 0) {
            if (!*at) return pf_fail(error, "%s, line %zu: unexpected NUL byte", name, line);
            line += *at++ == '\n';
            continue;
        }
        int64_t id = 0;
        for (size_t i = 0; i < length && id <= INT32_MAX; i++)
            id = at[i] >= '0' && at[i] <= '9' ? 10 * id + (at[i] - '0') : INT64_MAX;
        if (id > INT32_MAX)
            return pf_fail(error,
                           "%s, line %zu: \"%.*s\" is not a token id; ids are whole numbers from 0",
                           name, line, (int)(length < 40 ? length : 40), at);
        if (!pf_tokens_push(ids, (int32_t)id, error)) return false;
        at += length;
    }
    return true;
}

/* Appends the ids of {"ids": [...]}. */
static bool parse_object(const char *text, size_t n, const char *path, size_t line, pf_tokens *ids,
                         pf_error *error) {
    json_error_t where;
    json_t *object = json_loadb(text, n, 0, &where);
    if (!object)
        return pf_fail(error, "%s, line %zu, column %d: %s", path, line, where.column, where.text);
    json_t *array = json_object_get(object, "ids");
    bool good = json_is_array(array) ||
                pf_fail(error, "%s, line %zu: the object has no array \"ids\"", path, line);
    for (size_t i = 0; good && i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        good = id >= 0 && id <= INT32_MAX
                   ? pf_tokens_push(ids, (int32_t)id, error)
                   : pf_fail(error, "%s, line %zu: item %zu of \"ids\" is not a token id", path,
                             line, i);
    }
    json_decref(object);
    return good;
}

static bool parse_jsonl(const char *text, size_t n, const char *path, input_texts *texts,
                        pf_error *error) {
    size_t line = 1;
    for (const char *at = text, *end = text + n; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
        if (strspn(at, " \t\r") < length) {
            pf_tokens *ids = input_texts_add(texts, error);
            if (!ids || !parse_object(at, length, path, line, ids, error)) return false;
        }
        at += length + 1;
    }
    return true;
}

bool input_read_ids(const char *path, input_texts *texts, pf_error *error) {
    char *text = NULL;
    size_t n = 0, length = strlen(path);
    if (!input_read(path, &text, &n, error)) return false;
    bool good;
    if (length >= 6 && strcmp(path + length - 6, ".jsonl") == 0) {
        good = parse_jsonl(text, n, path, texts, error);
    } else {
        pf_tokens *ids = input_texts_add(texts, error);
        good = ids && input_parse_ids(text, n, path, ids, error);
    }
    pf_free(text);
    return good;
}
