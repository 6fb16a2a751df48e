/* floor 4.3 - LoRA files, GGUF: llama.cpp's form of adapters. */
#include "lora_files.h"

#include "adapter.h"
#include "formats.h"
#include "lora_deltas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME 256

static bool text_is(pf_text text, const char *other) {
    return text.size == strlen(other) && memcmp(text.bytes, other, text.size) == 0;
}

static int shown(pf_text text) { return (int)(text.size < 40 ? text.size : 40); }

/* ---- is it an adapter for this model? ---- */

static bool check_family(const pf_checkpoint *adapter, const pf_checkpoint *base, pf_error *error) {
    pf_text family = {"", 0}, wanted = {"", 0};
    if (!pf_checkpoint_get_text(adapter, "general.architecture", &family, error) ||
        !pf_checkpoint_get_text(base, "general.architecture", &wanted, error))
        return false;
    if (family.size == wanted.size && memcmp(family.bytes, wanted.bytes, family.size) == 0)
        return true;
    return pf_fail(error,
                   "the adapter is for a model of the family \"%.*s\", but MODEL is \"%.*s\"",
                   shown(family), family.bytes, shown(wanted), wanted.bytes);
}

static bool check_keys(const pf_checkpoint *adapter, const pf_checkpoint *base, float *alpha,
                       pf_error *error) {
    pf_text kind = {"", 0};
    if (!pf_adapter_is_one(adapter) || !pf_checkpoint_find_meta(adapter, "general.type"))
        return pf_fail(error, "this is not a LoRA adapter: give a GGUF whose general.type is "
                              "adapter, or a folder with adapter_config.json");
    if (!pf_checkpoint_get_text(adapter, "adapter.type", &kind, error)) return false;
    if (!text_is(kind, "lora"))
        return pf_fail(error, "an adapter of type \"%.*s\" is not supported; only lora is",
                       shown(kind), kind.bytes);
    if (pf_checkpoint_find_meta(adapter, "adapter.alora.invocation_tokens"))
        return pf_fail(error, "this adapter is to work only after certain tokens (aLoRA), so it "
                              "cannot be merged into the model");
    *alpha = 0;
    if (!pf_checkpoint_get_f32(adapter, "adapter.lora.alpha", alpha, error)) return false;
    if (!isfinite(*alpha)) return pf_fail(error, "adapter.lora.alpha is no finite number");
    return check_family(adapter, base, error);
}

/* ---- tensors ---- */

/* If the tensor is NAME + suffix, writes NAME. */
static bool is_half(const pf_tensor *tensor, const char *suffix, char name[MAX_NAME]) {
    size_t n = strlen(tensor->name), m = strlen(suffix);
    if (n <= m || n - m >= MAX_NAME || strcmp(tensor->name + n - m, suffix) != 0) return false;
    memcpy(name, tensor->name, n - m);
    name[n - m] = '\0';
    return true;
}

static const pf_tensor *other_half(const pf_checkpoint *adapter, const char *name,
                                   const char *suffix) {
    char full[MAX_NAME + 8];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    return pf_checkpoint_find(adapter, full);
}

/* The embedding's halves are flipped, so that a token's row of lora_a can be looked up. */
static pf_lora_pair pair_of(const char *name, const pf_tensor *a, const pf_tensor *b) {
    bool flipped = strcmp(name, "token_embd.weight") == 0;
    return flipped ? (pf_lora_pair){.up = a, .down = b, .down_transposed = true}
                   : (pf_lora_pair){.up = b, .down = a};
}

static bool add_deltas(const pf_checkpoint *adapter, float scale, float alpha,
                       pf_checkpoint *deltas, pf_error *error) {
    char name[MAX_NAME];
    for (size_t i = 0; i < pf_checkpoint_n_tensors(adapter); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(adapter, i);
        bool is_b = is_half(tensor, ".lora_b", name);
        if (!is_b && !is_half(tensor, ".lora_a", name))
            return pf_fail(error,
                           "the tensor %s is neither lora_a nor lora_b, and leaving it out would "
                           "give wrong results",
                           tensor->name);
        const pf_tensor *other = other_half(adapter, name, is_b ? ".lora_a" : ".lora_b");
        if (!other)
            return pf_fail(error, "the tensor %s has no %s; the adapter is incomplete",
                           tensor->name, is_b ? "lora_a" : "lora_b");
        if (is_b) continue;
        pf_lora_pair pair = pair_of(name, tensor, other);
        size_t rank = pf_lora_rank(&pair);
        pair.scale = alpha != 0 && rank > 0 ? scale * alpha / (float)rank : scale;
        if (!pf_lora_delta_add(deltas, name, &pair, error)) return false;
    }
    return pf_checkpoint_n_tensors(deltas) > 0 || pf_fail(error, "the adapter has no tensors");
}

static void free_checkpoint(void *object) { pf_checkpoint_free(object); }

pf_checkpoint *pf_lora_gguf_deltas(const char *path, const pf_checkpoint *base, float scale,
                                   pf_error *error) {
    pf_checkpoint *adapter = pf_checkpoint_open(path, error);
    if (!adapter) return NULL;
    pf_checkpoint *deltas = pf_checkpoint_new(path, error);
    float alpha;
    if (!deltas || !pf_checkpoint_take_object(deltas, adapter, free_checkpoint, error)) {
        pf_checkpoint_free(deltas);
        pf_checkpoint_free(adapter);
        return NULL;
    }
    if (check_keys(adapter, base, &alpha, error) &&
        add_deltas(adapter, scale, alpha, deltas, error))
        return deltas;
    pf_checkpoint_free(deltas);
    return NULL;
}
