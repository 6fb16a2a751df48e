/* floor 6.3 - test_corruption: 1,000 files with a wrong byte and 1,000 truncated ones, of every
 * format.
 *
 * Each must either work or be refused with a message: without a signal, within 2 seconds, and
 * without allocating more than 4 times the size of the file plus 64 MB. The address space is
 * limited to that, and no message may say that there is not enough memory. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "chat_template.h"
#include "fuzzing.h"
#include "samples.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LIMITS_MEMORY = 0 }; /* shadow memory is address space too */
#else
enum { LIMITS_MEMORY = 1 };
#endif

enum { ROUNDS = 1000 };

/* Reads a file and uses it, as the program would. False with a message if that fails. */
typedef bool (*reader)(pf_slice bytes, pf_error *error);

static bool read_model(pf_slice bytes, pf_error *error) {
    pf_loaded loaded;
    if (!pf_loaded_open_bytes(bytes, "damaged", &loaded, error)) return false;
    fuzz_session(loaded.model, PF_ATTENTION_SOFTMAX);
    fuzz_session(loaded.model, PF_ATTENTION_FAVOR);
    pf_loaded_close(&loaded);
    return true;
}

static bool read_checkpoint(pf_slice bytes, pf_error *error) {
    pf_checkpoint *checkpoint = pf_checkpoint_open_bytes(bytes, "damaged", error);
    if (!checkpoint) return false;
    bool good = true;
    for (size_t i = 0; good && i < pf_checkpoint_n_tensors(checkpoint); i++)
        good = pf_checkpoint_need_data(checkpoint, pf_checkpoint_tensor(checkpoint, i), error);
    pf_checkpoint_free(checkpoint);
    return good;
}

static bool read_pickle(pf_slice bytes, pf_error *error) {
    pf_pickle *pickle = pf_pickle_read(bytes, error);
    pf_pickle_free(pickle);
    return pickle != NULL;
}

/* Damages the pickle and not the archive around it, whose checksum would notice. */
static bool read_archived_pickle(pf_slice bytes, pf_error *error) {
    size_t size;
    uint8_t *archive = zip_of_pickle(bytes.data, bytes.size, &size);
    bool good = read_checkpoint((pf_slice){archive, size}, error);
    free(archive);
    return good;
}

static bool read_tokenizer_bin(pf_slice bytes, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool good = pf_llama2c_tokenizer_read(bytes, 12, &vocabulary, &storage, error);
    if (good) fuzz_vocabulary(&vocabulary, bytes.data, bytes.size);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static bool read_tokenizer_model(pf_slice bytes, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool good = pf_sentencepiece_model_read(bytes, &vocabulary, &storage, error);
    if (good) fuzz_vocabulary(&vocabulary, bytes.data, bytes.size);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static bool read_tokenizer_json(pf_slice bytes, pf_error *error) {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage = {0};
    bool good = pf_tokenizer_json_read(bytes, &vocabulary, &storage, error);
    if (good) fuzz_vocabulary(&vocabulary, bytes.data, bytes.size);
    pf_vocabulary_storage_free(&storage);
    return good;
}

static bool read_snapshot(pf_slice bytes, pf_error *error) {
    pf_session *session = fuzz_snapshot_session(fuzz_fixture(0)->model, 3);
    pf_continuation rest;
    assert_non_null(session);
    bool good = pf_session_load_bytes(session, bytes, &rest, error);
    pf_continuation_free(&rest);
    pf_session_free(session);
    return good;
}

/* A Hugging Face folder in which one file has these bytes; the others are whole. */
static const char *hf_damaged;

static bool read_hf(pf_slice bytes, pf_error *error) {
    pf_loaded loaded;
    hf_put(hf_damaged, bytes.data, bytes.size);
    if (!pf_loaded_open(hf_folder(), &loaded, error)) return false;
    fuzz_session(loaded.model, PF_ATTENTION_SOFTMAX);
    pf_loaded_close(&loaded);
    return true;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Limits the memory of everything below. */
static void limit_memory(size_t file_bytes, struct rlimit *before) {
    assert_int_equal(getrlimit(RLIMIT_AS, before), 0);
    rlim_t used = address_space();
    struct rlimit limit = *before;
    limit.rlim_cur = used + 4 * (rlim_t)file_bytes + ((rlim_t)64 << 20);
    if (!LIMITS_MEMORY || !used) return;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    assert_null(malloc(4 * file_bytes + (65 << 20)));
}

static void read_one(reader read, pf_slice bytes, const char *how, size_t at) {
    pf_error error = {""};
    double start = seconds();
    bool good = read(bytes, &error);
    if (seconds() - start > 2) fail_msg("%s at %zu: %g s", how, at, seconds() - start);
    if (!good && (!error.message[0] || strstr(error.message, "not enough memory")))
        fail_msg("%s at %zu: \"%s\"", how, at, error.message);
}

/* The bytes must be good as they are. Each damaged copy is allocated with its exact size, so that
 * sanitizers notice a read beyond its end. */
static void corrupt(const char *name, reader read, pf_slice bytes) {
    pf_error error = {""};
    pf_rng rng;
    pf_rng_seed(&rng, 11, bytes.size);
    if (!read(bytes, &error)) fail_msg("%s as it is: %s", name, error.message);
    struct rlimit before;
    limit_memory(bytes.size, &before);
    for (int round = 0; round < 2 * ROUNDS; round++) {
        bool cut = round % 2;
        size_t at = (size_t)(pf_rng_u64(&rng) % bytes.size), size = cut ? at : bytes.size;
        /* half of them are in the first 4 kB, where the tables are */
        if (round % 4 < 2 && bytes.size > 4096) at %= 4096;
        if (cut) size = at;
        uint8_t *copy = malloc(size ? size : 1);
        assert_non_null(copy);
        memcpy(copy, bytes.data, size);
        if (!cut) copy[at] ^= (uint8_t)(1 + pf_rng_u64(&rng) % 255);
        read_one(read, (pf_slice){copy, size}, cut ? "truncated" : "wrong byte", at);
        free(copy);
    }
    setrlimit(RLIMIT_AS, &before);
}

static void corrupt_file(const char *path, reader read) {
    pf_error error = {""};
    pf_file file;
    if (!pf_file_open(path, &file, &error)) fail_msg("%s", error.message);
    corrupt(path, read, file.bytes);
    pf_file_close(&file);
}

static void corrupt_sample(const char *name, reader read, const sample *made) {
    corrupt(name, read, (pf_slice){made->bytes, made->size});
}

static void gguf(void **state) {
    (void)state;
    corrupt_file("tests/fixtures/families/llama.gguf", read_model);
    corrupt_file("tests/fixtures/families/gpt2.gguf", read_model);
}

static void llama2c(void **state) {
    (void)state;
    sample made;
    for (int version = 0; version < 2; version++) {
        sample_llama2c(&made, version);
        corrupt_sample("llama2.c", read_model, &made);
    }
}

static void safetensors(void **state) {
    (void)state;
    sample made;
    sample_safetensors(&made);
    corrupt_sample("safetensors", read_checkpoint, &made);
}

static void hf(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer_config.json",
                                        "generation_config.json"};
    enum { NAMES = sizeof names / sizeof *names };
    pf_error error = {""};
    pf_file files[NAMES + 1];
    for (size_t i = 0; i <= NAMES; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/fixtures/hf/llama/%s",
                 i < NAMES ? names[i] : "tokenizer.json");
        if (!pf_file_open(path, &files[i], &error)) fail_msg("%s", error.message);
        hf_put(strrchr(path, '/') + 1, files[i].bytes.data, files[i].bytes.size);
    }
    for (size_t i = 0; i < NAMES; i++) {
        hf_damaged = names[i];
        corrupt(names[i], read_hf, files[i].bytes);
        hf_put(names[i], files[i].bytes.data, files[i].bytes.size);
    }
    for (size_t i = 0; i <= NAMES; i++) pf_file_close(&files[i]);
}

/* Configurations with fields that the llama above has not. */
static void hf_families(void **state) {
    (void)state;
    static const char *const names[] = {"llama-yarn", "phi3-long", "gemma3-5",
                                        "gpt_neox",   "gpt_neo",   "opt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        pf_error error = {""};
        pf_file config, weights;
        snprintf(path, sizeof path, "tests/fixtures/hf_families/%s/config.json", names[i]);
        if (!pf_file_open(path, &config, &error)) fail_msg("%s", error.message);
        snprintf(path, sizeof path, "tests/fixtures/hf_families/%s/model.safetensors", names[i]);
        if (!pf_file_open(path, &weights, &error)) fail_msg("%s", error.message);
        for (size_t k = 0; k < HF_NAMES; k++) hf_put(hf_names[k], NULL, 0);
        hf_put("model.safetensors", weights.bytes.data, weights.bytes.size);
        hf_damaged = "config.json";
        corrupt(names[i], read_hf, config.bytes);
        pf_file_close(&config);
        pf_file_close(&weights);
    }
}

static void pth(void **state) {
    (void)state;
    sample made;
    size_t size;
    sample_pickle(&made);
    corrupt_sample("pickle", read_pickle, &made);
    corrupt_sample("a pickle in its archive", read_archived_pickle, &made);
    uint8_t *archive = zip_of_pickle(made.bytes, made.size, &size);
    corrupt("pth", read_checkpoint, (pf_slice){archive, size});
    free(archive);
}

static void tokenizer_bin(void **state) {
    (void)state;
    sample made;
    sample_tokenizer_bin(&made);
    corrupt_sample("tokenizer.bin", read_tokenizer_bin, &made);
}

static void tokenizer_model(void **state) {
    (void)state;
    sample made;
    for (int type = 1; type <= 2; type++) {
        sample_tokenizer_model(&made, type);
        corrupt_sample("tokenizer.model", read_tokenizer_model, &made);
    }
}

static void tokenizer_json(void **state) {
    (void)state;
    sample made;
    sample_tokenizer_json(&made);
    corrupt_sample("tokenizer.json", read_tokenizer_json, &made);
    corrupt_file("tests/fixtures/tokenizers/llama2.json", read_tokenizer_json);
    corrupt_file("tests/fixtures/tokenizers/unigram.json", read_tokenizer_json);
}

static void snapshot(void **state) {
    (void)state;
    pf_error error = {""};
    char folder[] = "/tmp/performer-test-corruption-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    pf_session *session = fuzz_snapshot_session(fuzz_fixture(0)->model, 3);
    const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
    assert_true(pf_session_append(session, ids, 8, NULL, 0, &error));
    assert_true(pf_session_save(session, NULL, path, &error));
    corrupt_file(path, read_snapshot);
    pf_session_free(session);
    unlink(path);
    rmdir(folder);
}

/* A template with most of the language in it. */
static bool read_template(pf_slice bytes, pf_error *error) {
    static const pf_piece pieces[] = {{.bytes = "<s>", .size = 3}};
    static const pf_vocabulary vocabulary = {.pieces = pieces, .n_pieces = 1, .eos = -1};
    static const pf_chat_message talk[] = {{"system", "Be brief."}, {"user", "Hi."}};
    pf_chat_template chat;
    char *text = NULL;
    size_t size = 0;
    if (!pf_chat_template_find((const char *)bytes.data, bytes.size, &vocabulary, &chat, error))
        return false;
    bool good = pf_chat_render(&chat, talk, 2, 0, &text, &size, error);
    pf_free(text);
    pf_chat_template_free(&chat);
    return good;
}

static void chat_template(void **state) {
    (void)state;
    static const char source[] =
        "{#- all of it -#}{%- set ns = namespace(n=0, text='') -%}\n"
        "{% macro mark(role, end='|') %}<{{ role | upper }}{{ end }}{% endmacro %}\n"
        "{%- for m in messages if m.content is string -%}{% set ns.n = ns.n + 1 %}"
        "{% if m['role'] == 'system' and not loop.last %}{{ mark(m.role) ~ m.content.strip() }}"
        "{% elif loop.index0 % 2 == 1 or [1, 2][-1] > 3 %}{{ mark('u', end='>') + m.content[:2] }}"
        "{% else %}{{ raise_exception('no ' + m.role) }}{% endif %}{% endfor %}\n"
        "{% set text %}{{ {'a': [1, 2.5, none]} | tojson(indent=2) }}{% endset %}{{ text | trim }}"
        "{{ messages | map(attribute='role') | join(', ') if messages else 'none' }}"
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
        "{{ strftime_now('%Y') | length }}{% raw %}{{ x }}{% endraw %}"
        "{% if add_generation_prompt %}{{ '<assistant>\\n' }}{% endif %}";
    corrupt("a chat template", read_template,
            (pf_slice){(const uint8_t *)source, sizeof source - 1});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf),           cmocka_unit_test(llama2c),
        cmocka_unit_test(safetensors),    cmocka_unit_test(hf),
        cmocka_unit_test(hf_families),    cmocka_unit_test(pth),
        cmocka_unit_test(tokenizer_bin),  cmocka_unit_test(tokenizer_model),
        cmocka_unit_test(tokenizer_json), cmocka_unit_test(snapshot),
        cmocka_unit_test(chat_template),
    };
    return cmocka_run_group_tests_name("corruption", tests, NULL, NULL);
}
