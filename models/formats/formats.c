/* floor 3.5 - formats: opens a checkpoint of any supported format, recognised by its content. */
#include "formats.h"

#include "gguf.h"
#include "gguf_parts.h"
#include "llama2c.h"
#include "placeholder.h"
#include "pth.h"
#include "safetensors.h"

#include <string.h>

/* Formats with a magic number come first; llama2.c version 0 is recognised only by plausible
 * sizes. */
static const struct {
    bool (*sniff)(pf_slice bytes);
    bool (*read)(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error);
} formats[] = {
    {pf_gguf_sniff, pf_gguf_read},
    {pf_safetensors_sniff, pf_safetensors_read},
    {pf_pth_sniff, pf_pth_read},
    {pf_llama2c_sniff, pf_llama2c_read},
};

static bool begins_with(pf_slice bytes, const char *magic, size_t size) {
    return bytes.size >= size && memcmp(bytes.data, magic, size) == 0;
}

/* Says what the file is instead, so that you know what to do. */
static bool refuse(pf_slice bytes, pf_error *error) {
    const char *supported = "supported: GGUF, safetensors, PyTorch (.pt, .pth) and llama2.c (.bin)";
    if (bytes.size == 0) return pf_fail(error, "the file is empty; %s", supported);
    if (begins_with(bytes, "FUGG", 4))
        return pf_fail(error,
                       "this looks like a big-endian GGUF file; convert it to little-endian first");
    return pf_fail(error,
                   "this is not a checkpoint of a known format, or its header is cut off; %s",
                   supported);
}

static bool read_any(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error) {
    if (!pf_placeholder_check(bytes, error)) return false;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].sniff(bytes)) return formats[i].read(bytes, checkpoint, error);
    return refuse(bytes, error);
}

/* Messages begin with `name`. path: that of the file, or NULL if the bytes are in no file. */
static pf_checkpoint *open_named(pf_slice bytes, const char *name, const char *path,
                                 pf_error *error) {
    pf_error reason = {""};
    pf_checkpoint *checkpoint = pf_checkpoint_new(name, error);
    if (!checkpoint) return NULL;
    if (!read_any(bytes, checkpoint, &reason) || !pf_gguf_parts_add(path, checkpoint, &reason)) {
        pf_fail(error, "%s: %s", name, reason.message);
        pf_checkpoint_free(checkpoint);
        return NULL;
    }
    return checkpoint;
}

pf_checkpoint *pf_checkpoint_open_bytes(pf_slice bytes, const char *name, pf_error *error) {
    return open_named(bytes, name, NULL, error);
}

pf_checkpoint *pf_checkpoint_open(const char *path, pf_error *error) {
    pf_file file;
    if (!pf_file_open(path, &file, error)) return NULL;
    pf_checkpoint *checkpoint = open_named(file.bytes, path, path, error);
    if (checkpoint && !pf_checkpoint_take_file(checkpoint, &file, error)) {
        pf_checkpoint_free(checkpoint);
        checkpoint = NULL;
    }
    pf_file_close(&file); /* zeroed if it was taken */
    return checkpoint;
}
