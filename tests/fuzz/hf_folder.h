/* floor 6.1 - hf folder: writes a Hugging Face folder from parts in memory; one folder per process.
 *
 * Most of it would be weights. So the part for a safetensors file is only its JSON header; the
 * length is put before it, and moderate numbers after it.
 */
#ifndef PF_HF_FOLDER_H
#define PF_HF_FOLDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HF_WEIGHTS = 100000 }; /* as many as in our fixtures */

static const char *const hf_names[] = {"config.json",
                                       "model.safetensors",
                                       "tokenizer_config.json",
                                       "generation_config.json",
                                       "model.safetensors.index.json",
                                       "shard.safetensors",
                                       "tokenizer.json",
                                       "adapter_config.json",
                                       "adapter_model.safetensors",
                                       "adapter.gguf"};
enum { HF_NAMES = sizeof hf_names / sizeof *hf_names };

static char hf_path[64];

static inline const char *hf_file(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", hf_path, name);
    return path;
}

static inline void hf_remove_folder(void) {
    for (size_t i = 0; i < HF_NAMES; i++) unlink(hf_file(hf_names[i]));
    rmdir(hf_path);
}

/* The first call makes the folder; it is removed when the process ends. */
static inline const char *hf_folder(void) {
    if (hf_path[0]) return hf_path;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(hf_path, sizeof hf_path, "%s/performer-hf-%ld", memory, (long)getpid());
    if (mkdir(hf_path, 0700) != 0) abort();
    atexit(hf_remove_folder);
    return hf_path;
}

/* Writes a file of the folder; bytes NULL removes it. */
static inline void hf_put(const char *name, const uint8_t *bytes, size_t n) {
    hf_folder();
    unlink(hf_file(name));
    if (!bytes) return;
    FILE *file = fopen(hf_file(name), "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) abort();
}

static inline void hf_put_weights(const char *name, const uint8_t *head, size_t n) {
    uint64_t length = n;
    uint8_t *bytes = malloc(8 + n + HF_WEIGHTS);
    if (!bytes) abort();
    memcpy(bytes, &length, 8);
    if (n) memcpy(bytes + 8, head, n);
    /* Moderate numbers in every type: the high byte is 0x38 to 0x3B, the low byte anything. */
    for (size_t i = 0; i < HF_WEIGHTS; i++)
        bytes[8 + n + i] = (uint8_t)(i % 2 ? 0x38 + (i * 7919 >> 5 & 3) : i * 31 >> 3);
    hf_put(name, bytes, 8 + n + HF_WEIGHTS);
    free(bytes);
}

/* Cuts data at NULs into parts [most]; empty ones are NULL. */
static inline void hf_cut(const uint8_t *data, size_t size, size_t most, const uint8_t **part,
                          size_t *length) {
    for (size_t i = 0, at = 0; i < most; i++) {
        const uint8_t *end = i + 1 < most && at < size ? memchr(data + at, 0, size - at) : NULL;
        length[i] = end ? (size_t)(end - data) - at : at < size ? size - at : 0;
        part[i] = length[i] ? data + at : NULL;
        at += length[i] + 1;
    }
}

/* The parts, separated by NULs: config.json, the header of the weights, tokenizer_config.json,
 * generation_config.json, model.safetensors.index.json. An empty part is a missing file. If there
 * is an index, the weights go to shard.safetensors. */
static inline void hf_put_parts(const uint8_t *data, size_t size) {
    const uint8_t *part[5];
    size_t length[5];
    hf_cut(data, size, 5, part, length);
    hf_put("config.json", part[0], length[0]);
    for (size_t i = 2; i < 5; i++) hf_put(hf_names[i], part[i], length[i]);
    hf_put("model.safetensors", NULL, 0);
    hf_put("shard.safetensors", NULL, 0);
    if (part[1])
        hf_put_weights(part[4] ? "shard.safetensors" : "model.safetensors", part[1], length[1]);
}

#endif
