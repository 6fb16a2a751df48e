/* floor 6.2 - fuzzing: what each fuzz target does with its input.
 *
 * fuzz_NAME reads `data` as one format and uses the result as the program would: an accepted
 * checkpoint runs a few tokens with softmax and with favor, a vocabulary encodes a text. It returns
 * 0; failures are for the sanitizers to notice. fuzz_targets lists all targets, for test_fuzz.c.
 *
 * If most of a file would be weights, the input is only its head, and weights are made up here;
 * otherwise the fuzzer would spend its time on changing weights. */
#ifndef PF_FUZZING_H
#define PF_FUZZING_H

#include "formats.h"
#include "jinja.h"
#include "llama2c_tokenizer.h"
#include "load.h"
#include "memory.h"
#include "pickle.h"
#include "sampler.h"
#include "sentencepiece_model.h"
#include "snapshot.h"
#include "tokenizer_json.h"

#include "checksum.h"
#include "fingerprint.h"
#include "hf_folder.h"
#include "zip_writing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FUZZ_WEIGHTS = 1 << 16 };

/* Returns data followed by numbers of moderate size; free it. */
static inline uint8_t *fuzz_padded(const uint8_t *data, size_t size, size_t *padded) {
    *padded = size + FUZZ_WEIGHTS;
    uint8_t *bytes = malloc(*padded);
    if (!bytes) abort();
    if (size) memcpy(bytes, data, size);
    for (size_t i = 0; i < FUZZ_WEIGHTS; i += 4) {
        float weight = (float)((int)(i * 2654435761u >> 20 & 255) - 128) / 256;
        memcpy(bytes + size + i, &weight, 4);
    }
    return bytes;
}

static inline void fuzz_encode(const pf_tokenizer *tokenizer, const char *text, size_t n) {
    pf_error error = {""};
    pf_tokens ids = {0};
    pf_decoder decoder = {0};
    char *out = pf_calloc(pf_tokenizer_max_bytes(tokenizer) + 16, 1, "a text", &error);
    pf_tokenizer_encode(tokenizer, text, n, PF_ENCODE_BOS | PF_ENCODE_SPECIAL, &ids, &error);
    for (size_t i = 0; out && i < ids.count; i++) {
        pf_decoder_push(tokenizer, &decoder, ids.ids[i], out);
        pf_tokenizer_is_end(tokenizer, ids.ids[i]);
    }
    if (out) pf_decoder_finish(&decoder, out);
    pf_free(out);
    pf_tokens_free(&ids);
}

static inline void fuzz_vocabulary(const pf_vocabulary *vocabulary, const uint8_t *data,
                                   size_t size) {
    static const char text[] = "The \xC3\xA9t\xC3\xA9  of '23:\n\t<s>\xE6\x97\xA5\xE6\x9C\xAC \xFF";
    pf_error error = {""};
    pf_tokenizer *tokenizer = pf_tokenizer_new(vocabulary, &error);
    if (!tokenizer) return;
    fuzz_encode(tokenizer, text, sizeof text - 1);
    size_t tail = size < 100 ? size : 100;
    fuzz_encode(tokenizer, (const char *)data + (size - tail), tail);
    pf_tokenizer_free(tokenizer);
}

static inline void fuzz_session(const pf_model *model, pf_attention_kind kind) {
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(model);
    options.attention.kind = kind;
    options.n_threads = 1;
    options.chunk = 4;
    options.context = model->context < 16 ? model->context : 16;
    size_t limit = (size_t)1 << 24; /* the user sets these options, not the file */
    if (kind == PF_ATTENTION_FAVOR && pf_state_bytes(model, &options) > limit) {
        options.attention.features = 8;
        options.attention.window = options.attention.sinks = 2;
    }
    if (pf_state_bytes(model, &options) > limit) return;
    size_t V = model->n_vocab;
    pf_session *session = pf_session_new(model, &options, &error);
    float *logits = pf_calloc(V, sizeof *logits, "logits", &error);
    pf_sampler_options sampling = {.temperature = 0.9f, .top_p = 0.9f, .top_k = 5, .seed = 1};
    pf_sampler *sampler = pf_sampler_new(&sampling, V, &error);
    const int32_t ids[] = {0, (int32_t)(V / 2), (int32_t)(V - 1), 0, 0, 0};
    if (session && logits && sampler && pf_session_append(session, ids, 6, logits, 1, &error))
        for (int i = 0; i < 4; i++) {
            int32_t id = pf_sampler_next(sampler, logits);
            if (id < 0 || !pf_session_append(session, &id, 1, logits, 1, &error)) break;
        }
    pf_sampler_free(sampler);
    pf_free(logits);
    pf_session_free(session);
}

/* Runs a few tokens, then closes *loaded. */
static inline void fuzz_model(pf_loaded *loaded) {
    fuzz_session(loaded->model, PF_ATTENTION_SOFTMAX);
    fuzz_session(loaded->model, PF_ATTENTION_FAVOR);
    if (loaded->tokenizer) fuzz_encode(loaded->tokenizer, "Hello  world\n\xC3\xA9", 15);
    pf_loaded_close(loaded);
}

/* Opens the bytes as a model; if that fails, as a checkpoint, and reads all its tensors. */
static inline void fuzz_open(const uint8_t *bytes, size_t size) {
    pf_error error = {""};
    pf_loaded loaded;
    if (pf_loaded_open_bytes((pf_slice){bytes, size}, "fuzz", &loaded, &error)) {
        fuzz_model(&loaded);
        return;
    }
    pf_checkpoint *checkpoint = pf_checkpoint_open_bytes((pf_slice){bytes, size}, "fuzz", &error);
    if (!checkpoint) return;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(checkpoint); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(checkpoint, i);
        if (tensor->bytes < 1 << 20) pf_checkpoint_need_data(checkpoint, tensor, &error);
    }
    pf_checkpoint_free(checkpoint);
}

/* ---- the targets ---- */

static inline int fuzz_gguf(const uint8_t *data, size_t size) {
    size_t padded;
    uint8_t *bytes = fuzz_padded(data, size, &padded);
    fuzz_open(bytes, padded);
    free(bytes);
    return 0;
}

static inline int fuzz_checkpoint(const uint8_t *data, size_t size) {
    fuzz_open(data, size);
    return 0;
}

/* The tokenizer is a fixture: tokenizer.json has its own target. Only a folder with a
 * tokenizer_config.json has one, since most of our tiny models have fewer tokens. */
static inline int fuzz_hf(const uint8_t *data, size_t size) {
    static pf_file tokenizer;
    pf_error error = {""};
    pf_loaded loaded;
    if (!tokenizer.bytes.data &&
        !pf_file_open("tests/fixtures/hf/llama/tokenizer.json", &tokenizer, &error))
        abort();
    hf_put_parts(data, size);
    bool configured = access(hf_file("tokenizer_config.json"), F_OK) == 0;
    hf_put("tokenizer.json", configured ? tokenizer.bytes.data : NULL, tokenizer.bytes.size);
    if (pf_loaded_open(hf_folder(), &loaded, &error)) fuzz_model(&loaded);
    return 0;
}

static inline int fuzz_pickle(const uint8_t *data, size_t size) {
    pf_error error = {""};
    pf_pickle_free(pf_pickle_read((pf_slice){data, size}, &error));
    return 0;
}

/* Puts the pickle into an archive, which the fuzzer would not manage to build. */
static inline int fuzz_pth(const uint8_t *data, size_t size) {
    size_t archive;
    uint8_t *bytes = zip_of_pickle(data, size, &archive);
    fuzz_open(bytes, archive);
    free(bytes);
    return 0;
}

static inline int fuzz_tokenizer_bin(const uint8_t *data, size_t size) {
    pf_error error = {""};
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    size_t n = size ? data[size - 1] : 0; /* the file does not say how many pieces it has */
    if (n &&
        pf_llama2c_tokenizer_read((pf_slice){data, size - 1}, n, &vocabulary, &storage, &error))
        fuzz_vocabulary(&vocabulary, data, size);
    pf_vocabulary_storage_free(&storage);
    return 0;
}

static inline int fuzz_tokenizer_model(const uint8_t *data, size_t size) {
    pf_error error = {""};
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    if (pf_sentencepiece_model_read((pf_slice){data, size}, &vocabulary, &storage, &error))
        fuzz_vocabulary(&vocabulary, data, size);
    pf_vocabulary_storage_free(&storage);
    return 0;
}

static inline int fuzz_tokenizer_json(const uint8_t *data, size_t size) {
    pf_error error = {""};
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    if (pf_tokenizer_json_read((pf_slice){data, size}, &vocabulary, &storage, &error))
        fuzz_vocabulary(&vocabulary, data, size);
    pf_vocabulary_storage_free(&storage);
    return 0;
}

/* Fixtures that a target needs, opened once. */
enum { FUZZ_FIXTURES = 4 };
static pf_loaded fuzz_fixtures[FUZZ_FIXTURES];

__attribute__((destructor)) static void fuzz_close_fixtures(void) {
    for (int i = 0; i < FUZZ_FIXTURES; i++) pf_loaded_close(&fuzz_fixtures[i]);
}

static inline const pf_loaded *fuzz_fixture(int which) {
    static const char *const paths[FUZZ_FIXTURES] = {
        "tests/fixtures/families/llama.gguf", "tests/fixtures/families/gpt2.gguf",
        "tests/fixtures/families/qwen2.gguf", "tests/fixtures/families/gemma.gguf"};
    pf_error error = {""};
    if (!fuzz_fixtures[which].model &&
        !pf_loaded_open(paths[which], &fuzz_fixtures[which], &error)) {
        fprintf(stderr, "%s (run from the root of the repository)\n", error.message);
        abort();
    }
    return &fuzz_fixtures[which];
}

/* The model of the snapshots, and the attentions that they may have. */
enum { FUZZ_SNAPSHOTS = 4 };

static inline pf_session *fuzz_snapshot_session(const pf_model *model, int which) {
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(model);
    options.attention.kind = which == 0   ? PF_ATTENTION_SOFTMAX
                             : which == 1 ? PF_ATTENTION_LOCAL
                                          : PF_ATTENTION_FAVOR;
    options.attention.features = 8;
    options.attention.window = which == 2 ? 0 : 4;
    options.attention.sinks = 1;
    options.attention.redraw = which == 3 ? 3 : 0;
    options.context = 64;
    options.n_threads = 1;
    options.chunk = 8;
    return pf_session_new(model, &options, &error);
}

/* Corrects the size and the checksum, so that the code after their checks is reached. */
static inline int fuzz_snapshot(const uint8_t *data, size_t size) {
    static uint64_t fingerprint;
    const pf_model *model = fuzz_fixture(0)->model;
    pf_error error = {""};
    if (!fingerprint) fingerprint = pf_model_fingerprint(model);
    uint8_t *bytes = malloc(size + 8);
    if (!bytes) abort();
    if (size) memcpy(bytes, data, size);
    uint64_t total = size + 8, sum = 0;
    if (size >= 32) {
        memcpy(bytes + 16, &total, 8);
        memcpy(bytes + 24, &fingerprint, 8);
    }
    for (size_t done = 0; done < size; done += 1 << 16)
        sum = pf_checksum(sum, bytes + done, size - done < 1 << 16 ? size - done : 1 << 16);
    memcpy(bytes + size, &sum, 8);
    int kind = size > 32 ? bytes[32] % 3 : 0; /* as the file says; favor comes twice */
    for (int i = kind; i < (kind == 2 ? FUZZ_SNAPSHOTS : kind + 1); i++) {
        pf_continuation rest;
        pf_session *session = fuzz_snapshot_session(model, i);
        float *logits = malloc(model->n_vocab * sizeof *logits);
        const int32_t ids[] = {1, 2, 3};
        if (!session || !logits) abort();
        if (pf_session_load_bytes(session, (pf_slice){bytes, total}, &rest, &error))
            pf_session_append(session, rest.pending, rest.n_pending, NULL, 0, &error);
        pf_session_append(session, ids, 3, logits, 1, &error);
        pf_session_append(session, ids, 1, logits, 1, &error);
        pf_continuation_free(&rest);
        pf_session_free(session);
        free(logits);
    }
    free(bytes);
    return 0;
}

/* The first byte selects the tokenizer, the second the flags; the rest is the text. */
static inline int fuzz_prompt(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const pf_tokenizer *tokenizer = fuzz_fixture(data[0] % FUZZ_FIXTURES)->tokenizer;
    pf_vocabulary vocabulary = *pf_tokenizer_vocabulary(tokenizer);
    fuzz_encode(tokenizer, (const char *)data + 2, size - 2);
    if (data[1] & 1) vocabulary.kind = PF_TOKENIZER_UNIGRAM;
    vocabulary.byte_fallback = data[1] & 2;
    vocabulary.remove_extra_whitespaces = data[1] & 4;
    vocabulary.add_space_prefix = data[1] & 8;
    vocabulary.escape_whitespaces = data[1] & 16;
    vocabulary.ignore_merges = data[1] & 32;
    fuzz_vocabulary(&vocabulary, data, size);
    return 0;
}

/* A template, rendered for a short dialogue. */
static inline int fuzz_jinja(const uint8_t *data, size_t size) {
    static const pf_jinja_variable system[] = {
        {.name = "role", .kind = PF_JINJA_TEXT, .text = "system", .size = 6},
        {.name = "content", .kind = PF_JINJA_TEXT, .text = "Be\nbrief.", .size = 9}};
    static const pf_jinja_variable user[] = {
        {.name = "role", .kind = PF_JINJA_TEXT, .text = "user", .size = 4},
        {.name = "content", .kind = PF_JINJA_TEXT, .text = " \xE6\x97\xA5 \xFF?", .size = 7}};
    static const pf_jinja_variable messages[] = {
        {.kind = PF_JINJA_DICT, .parts = system, .n_parts = 2},
        {.kind = PF_JINJA_DICT, .parts = user, .n_parts = 2}};
    static const pf_jinja_variable variables[] = {
        {.name = "messages", .kind = PF_JINJA_LIST, .parts = messages, .n_parts = 2},
        {.name = "add_generation_prompt", .kind = PF_JINJA_TRUE},
        {.name = "tools", .kind = PF_JINJA_NONE},
        {.name = "bos_token", .kind = PF_JINJA_TEXT, .text = "<s>", .size = 3}};
    const pf_jinja_limits limits = {
        .memory = 1 << 24, .output = 1 << 20, .steps = 200000, .now = 1721995200};
    pf_error error = {""};
    pf_buffer text = {0};
    pf_jinja *jinja = pf_jinja_parse((const char *)data, size, &error);
    if (jinja) pf_jinja_render(jinja, variables, 4, &limits, &text, NULL, &error);
    pf_free(text.bytes);
    pf_jinja_free(jinja);
    return 0;
}

/* A LoRA adapter: a GGUF file, or the parts of a PEFT folder, adapter_config.json and the header of
 * its weights; for one of two models. */
static inline int fuzz_lora(const uint8_t *data, size_t size) {
    static const char gpt2[] = "transformer.h";
    bool is_gguf = size >= 4 && memcmp(data, "GGUF", 4) == 0, is_gpt2 = false;
    for (size_t i = 0; !is_gguf && i + sizeof gpt2 < size && !is_gpt2; i++)
        is_gpt2 = memcmp(data + i, gpt2, sizeof gpt2 - 1) == 0;
    hf_folder();
    if (is_gguf) {
        size_t padded;
        uint8_t *bytes = fuzz_padded(data, size, &padded);
        hf_put("adapter.gguf", bytes, padded);
        free(bytes);
    } else {
        const uint8_t *part[2];
        size_t length[2];
        hf_cut(data, size, 2, part, length);
        hf_put("adapter_config.json", part[0], length[0]);
        hf_put("adapter_model.safetensors", NULL, 0);
        if (part[1]) hf_put_weights("adapter_model.safetensors", part[1], length[1]);
    }
    pf_error error = {""};
    pf_loaded loaded;
    const pf_lora_source adapter = {is_gguf ? hf_file("adapter.gguf") : hf_folder(), 0.01f};
    if (pf_loaded_open_adapted(is_gpt2 ? "tests/fixtures/hf/gpt2" : "tests/fixtures/hf/llama",
                               &adapter, 1, 1, &loaded, &error))
        fuzz_model(&loaded);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
} fuzz_targets[] = {
    {"gguf", fuzz_gguf},
    {"llama2c", fuzz_checkpoint},
    {"safetensors", fuzz_checkpoint},
    {"hf", fuzz_hf},
    {"lora", fuzz_lora},
    {"pickle", fuzz_pickle},
    {"pth", fuzz_pth},
    {"tokenizer_bin", fuzz_tokenizer_bin},
    {"tokenizer_model", fuzz_tokenizer_model},
    {"tokenizer_json", fuzz_tokenizer_json},
    {"snapshot", fuzz_snapshot},
    {"prompt", fuzz_prompt},
    {"jinja", fuzz_jinja},
};
enum { FUZZ_TARGETS = sizeof fuzz_targets / sizeof fuzz_targets[0] };

#endif
