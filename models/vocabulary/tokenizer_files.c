/* floor 4.1 - tokenizer files: reads a tokenizer of any format, recognised by its content. */
#include "tokenizer_files.h"

#include "formats.h"
#include "gguf.h"
#include "llama2c_tokenizer.h"
#include "placeholder.h"
#include "sentencepiece_model.h"
#include "tokenizer_json.h"
#include "vocab_merges.h"
#include "vocabulary_meta.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char text[4096];
} path_text;

/* ---- kinds of files ---- */

typedef enum { JSON_TOKENIZER, JSON_VOCABULARY, MERGES, SENTENCEPIECE, GGUF, LLAMA2C } kind;

static bool contains(pf_slice bytes, const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= bytes.size; i++)
        if (bytes.data[i] == (uint8_t)text[0] && memcmp(bytes.data + i, text, n) == 0) return true;
    return false;
}

/* A vocabulary is {"piece": number, ...}. The first value of a tokenizer.json is not a number. */
static bool is_vocabulary(pf_slice bytes) {
    size_t i = 1;
    while (i < bytes.size && bytes.data[i] != '"') i++;
    for (i++; i < bytes.size && bytes.data[i] != '"'; i++)
        if (bytes.data[i] == '\\') i++;
    for (i++; i < bytes.size && (bytes.data[i] == ':' || bytes.data[i] <= ' '); i++) {
    }
    return i < bytes.size && bytes.data[i] >= '0' && bytes.data[i] <= '9';
}

/* Text that begins with "#ver" (as in "#version: 0.2"), or has a space and a newline near the
 * beginning. */
static bool is_merges(pf_slice bytes) {
    pf_slice head = {bytes.data, bytes.size < 512 ? bytes.size : 512};
    if (bytes.size < 4 || memchr(head.data, '\0', head.size)) return false;
    return memcmp(bytes.data, "#ver", 4) == 0 || (contains(head, " ") && contains(head, "\n"));
}

static kind kind_of(pf_slice bytes) {
    size_t i = 0;
    while (i < bytes.size && i < 64 && strchr(" \t\r\n", bytes.data[i]) && bytes.data[i]) i++;
    if (pf_gguf_sniff(bytes)) return GGUF;
    if (pf_sentencepiece_model_sniff(bytes)) return SENTENCEPIECE;
    if (i < bytes.size && bytes.data[i] == '{')
        return is_vocabulary((pf_slice){bytes.data + i, bytes.size - i}) ? JSON_VOCABULARY
                                                                         : JSON_TOKENIZER;
    return is_merges(bytes) ? MERGES : LLAMA2C;
}

/* ---- paths ---- */

static bool join(const char *folder, size_t n, const char *name, path_text *path) {
    int size = snprintf(path->text, sizeof path->text, "%.*s/%s", (int)n, folder, name);
    return size > 0 && (size_t)size < sizeof path->text;
}

/* Finds the first of the names that exists. */
static bool find_in(const char *folder, size_t n, const char *const *names, path_text *path) {
    for (; *names; names++)
        if (join(folder, n, *names, path) && access(path->text, F_OK) == 0) return true;
    return false;
}

static bool find_beside(const char *file, const char *const *names, path_text *path) {
    const char *slash = strrchr(file, '/');
    return slash ? find_in(file, (size_t)(slash - file), names, path)
                 : find_in(".", 1, names, path);
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool find_tokenizer(const char *folder, path_text *path) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "vocab.json",
                                        "encoder.json",   "tokenizer.bin",   NULL};
    return find_in(folder, strlen(folder), names, path);
}

bool pf_tokenizer_file_in_folder(const char *folder) {
    path_text path = {""};
    return find_tokenizer(folder, &path);
}

/* ---- reading ---- */

/* Reads a vocabulary and merges; `path` is one of the two, and the other must be in its folder. */
static bool read_pair(const char *path, pf_slice bytes, kind what, pf_vocabulary *vocabulary,
                      pf_vocabulary_storage *storage, pf_error *error) {
    static const char *const merges[] = {"merges.txt", "vocab.bpe", NULL};
    static const char *const vocabularies[] = {"vocab.json", "encoder.json", NULL};
    bool is_vocab = what == JSON_VOCABULARY;
    path_text other = {""};
    pf_file file;
    if (!find_beside(path, is_vocab ? merges : vocabularies, &other))
        return pf_fail(
            error, "this is one half of a tokenizer; the other half, %s, is not in the same folder",
            is_vocab ? "merges.txt or vocab.bpe" : "vocab.json or encoder.json");
    if (!pf_file_open(other.text, &file, error)) return false;
    bool good = is_vocab ? pf_vocab_merges_read(bytes, file.bytes, vocabulary, storage, error)
                         : pf_vocab_merges_read(file.bytes, bytes, vocabulary, storage, error);
    pf_file_close(&file);
    return good;
}

static bool read_bytes(const char *path, pf_slice bytes, size_t n_vocab, pf_vocabulary *vocabulary,
                       pf_vocabulary_storage *storage, pf_error *error) {
    if (!pf_placeholder_check(bytes, error)) return false;
    kind what = kind_of(bytes);
    switch (what) {
    case JSON_TOKENIZER:
        return pf_tokenizer_json_read(bytes, vocabulary, storage, error);
    case JSON_VOCABULARY:
    case MERGES:
        return read_pair(path, bytes, what, vocabulary, storage, error);
    case SENTENCEPIECE:
        return pf_sentencepiece_model_read(bytes, vocabulary, storage, error);
    case GGUF:
        return pf_fail(error, "this is a GGUF file, not a tokenizer file");
    case LLAMA2C:
        break;
    }
    if (n_vocab == 0)
        return pf_fail(error,
                       "this is not a tokenizer.json, tokenizer.model, or vocab.json with "
                       "merges.txt; if it is a tokenizer.bin, the model's size must be known");
    return pf_llama2c_tokenizer_read(bytes, n_vocab, vocabulary, storage, error);
}

bool pf_tokenizer_file_read(const char *path, size_t n_vocab, pf_vocabulary *vocabulary,
                            pf_vocabulary_storage *storage, pf_error *error) {
    pf_error reason = {""};
    path_text inside = {""};
    pf_file file;
    if (is_folder(path)) {
        if (!find_tokenizer(path, &inside))
            return pf_fail(error,
                           "%s: the folder has no tokenizer.json, tokenizer.model, vocab.json, "
                           "encoder.json or tokenizer.bin",
                           path);
        path = inside.text;
    }
    if (!pf_file_open(path, &file, error)) return false;
    bool good = read_bytes(path, file.bytes, n_vocab, vocabulary, storage, &reason);
    pf_file_close(&file);
    return good || pf_fail(error, "%s: %s", path, reason.message);
}

/* ---- into a checkpoint ---- */

static bool has_gguf_magic(const char *path) {
    pf_file file;
    if (!pf_file_open(path, &file, NULL)) return false;
    bool found = pf_gguf_sniff(file.bytes);
    pf_file_close(&file);
    return found;
}

static bool copy_from_gguf(const char *path, pf_checkpoint *checkpoint, pf_error *error) {
    pf_error reason = {""};
    pf_vocabulary vocabulary = {.n_pieces = 0};
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *source = pf_checkpoint_open(path, error);
    if (!source) return false;
    bool good = pf_vocabulary_from_checkpoint(source, &vocabulary, &storage, &reason) &&
                (vocabulary.n_pieces > 0 || pf_fail(&reason, "the file has no tokenizer")) &&
                pf_vocabulary_to_checkpoint(&vocabulary, checkpoint, &reason);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(source);
    return good || pf_fail(error, "%s: %s", path, reason.message);
}

bool pf_tokenizer_file_to_checkpoint(const char *path, pf_checkpoint *checkpoint, pf_error *error) {
    pf_vocabulary vocabulary = {.n_pieces = 0};
    pf_vocabulary_storage storage = {0};
    const pf_tensor *embedding = pf_checkpoint_find(checkpoint, "token_embd.weight");
    size_t n_vocab = embedding && embedding->n_dims == 2 ? (size_t)embedding->shape[1] : 0;
    if (has_gguf_magic(path)) return copy_from_gguf(path, checkpoint, error);
    bool good = pf_tokenizer_file_read(path, n_vocab, &vocabulary, &storage, error);
    if (good && n_vocab > 0 && vocabulary.n_pieces > n_vocab)
        good = pf_fail(error,
                       "%s: this tokenizer has %zu tokens, but the model only %zu; it belongs to "
                       "another model",
                       path, vocabulary.n_pieces, n_vocab);
    good = good && pf_vocabulary_to_checkpoint(&vocabulary, checkpoint, error);
    pf_vocabulary_storage_free(&storage);
    return good;
}
