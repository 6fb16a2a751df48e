/* floor 3.2 - GGUF parts: a model in several files, as llama-gguf-split writes them. */
#include "gguf_parts.h"

#include "gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_PARTS 1024
#define SUFFIX_SIZE 20 /* "-00001-of-00003.gguf" */

typedef struct path_text {
    char text[4096];
} path_text;

/* The path of part i (from 0) of n; false if `path` is not named as part 0. */
static bool part_path(const char *path, uint64_t i, uint64_t n, path_text *part) {
    char suffix[64];
    size_t length = strlen(path);
    snprintf(suffix, sizeof suffix, "-%05u-of-%05" PRIu64 ".gguf", 1, n);
    if (length < SUFFIX_SIZE || strcmp(path + length - SUFFIX_SIZE, suffix) != 0) return false;
    int written =
        snprintf(part->text, sizeof part->text, "%.*s-%05" PRIu64 "-of-%05" PRIu64 ".gguf",
                 (int)(length - SUFFIX_SIZE), path, i + 1, n);
    return written > 0 && (size_t)written < sizeof part->text;
}

static bool read_numbers(const pf_checkpoint *checkpoint, uint64_t *no, uint64_t *count,
                         pf_error *error) {
    *no = 0;
    *count = 1;
    return pf_checkpoint_get_u64(checkpoint, "split.no", no, error) &&
           pf_checkpoint_get_u64(checkpoint, "split.count", count, error);
}

static void free_checkpoint(void *object) { pf_checkpoint_free(object); }

/* Adds the tensors of `part`, and gives it to the checkpoint, also on failure. */
static bool take_tensors(pf_checkpoint *checkpoint, pf_checkpoint *part, pf_error *error) {
    if (!pf_checkpoint_take_object(checkpoint, part, free_checkpoint, error)) {
        pf_checkpoint_free(part);
        return false;
    }
    for (size_t i = 0; i < pf_checkpoint_n_tensors(part); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(part, i);
        if (!pf_checkpoint_add_tensor(checkpoint, tensor->name, tensor->type, tensor->n_dims,
                                      tensor->shape, tensor->data, tensor->bytes, error))
            return false;
    }
    return true;
}

static pf_checkpoint *read_part(const char *path, uint64_t i, uint64_t n, pf_error *error) {
    uint64_t no, count;
    pf_file file;
    if (!pf_file_open(path, &file, error)) return NULL;
    pf_checkpoint *part = pf_checkpoint_new(path, error);
    bool good = part && (pf_gguf_sniff(file.bytes) || pf_fail(error, "this is no GGUF file")) &&
                pf_gguf_read(file.bytes, part, error) && read_numbers(part, &no, &count, error) &&
                ((no == i && count == n) ||
                 pf_fail(error,
                         "this should be part %" PRIu64 " of %" PRIu64 ", but says that it is part "
                         "%" PRIu64 " of %" PRIu64 "; its name is wrong",
                         i + 1, n, no + 1, count)) &&
                pf_checkpoint_take_file(part, &file, error);
    pf_file_close(&file); /* zeroed if it was taken */
    if (good) return part;
    pf_checkpoint_free(part);
    return NULL;
}

static bool add_part(const char *path, uint64_t i, uint64_t n, pf_checkpoint *checkpoint,
                     pf_error *error) {
    pf_error reason = {""};
    path_text name;
    if (!part_path(path, i, n, &name))
        return pf_fail(error,
                       "this is the first of %" PRIu64 " parts of a model (split.count), but its "
                       "name does not end in -00001-of-%05" PRIu64 ".gguf, so the others cannot "
                       "be found; give all parts such names",
                       n, n);
    if (access(name.text, F_OK) != 0)
        return pf_fail(error,
                       "this is the first of %" PRIu64 " parts of a model, and %.200s is not "
                       "there; put all parts into one folder",
                       n, name.text);
    pf_checkpoint *part = read_part(name.text, i, n, &reason);
    return (part && take_tensors(checkpoint, part, &reason)) ||
           pf_fail(error, "its part %.200s: %s", name.text, reason.message);
}

bool pf_gguf_parts_add(const char *path, pf_checkpoint *checkpoint, pf_error *error) {
    uint64_t no, n;
    if (!read_numbers(checkpoint, &no, &n, error)) return false;
    if (n <= 1) return true;
    if (n > MAX_PARTS)
        return pf_fail(error, "a model in %" PRIu64 " parts (split.count) is not supported", n);
    if (!path || no > 0)
        return pf_fail(error,
                       "this is part %" PRIu64 " of %" PRIu64 " of a model; give the first one, "
                       "whose name ends in -00001-of-%05" PRIu64 ".gguf",
                       no + 1, n, n);
    for (uint64_t i = 1; i < n; i++)
        if (!add_part(path, i, n, checkpoint, error)) return false;
    return true;
}
