/* floor 6.3 - make_seeds: makes the first inputs for fuzzing from our fixtures: small valid files.
 *
 *   make_seeds FOLDER      writes FOLDER/TARGET/NAME for every target of fuzzing.h
 */
#include "calibration_write.h"
#include "convert.h"
#include "fuzzing.h"
#include "gguf_write.h"
#include "samples.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures/families/"

static const char *folder;

static void die(const char *why) {
    fprintf(stderr, "make_seeds: %s\n", why);
    exit(1);
}

static void write_seed(const char *target, const char *name, const void *bytes, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) die(path);
}

/* Writes the seed `name` of a target: the GGUF file at path without its tensor data. */
static void gguf_head(const char *path, const char *target, const char *name) {
    pf_error error = {""};
    pf_file file;
    if (!pf_file_open(path, &file, &error)) die(error.message);
    pf_checkpoint *checkpoint = pf_checkpoint_open_bytes(file.bytes, path, &error);
    if (!checkpoint) die(error.message);
    const uint8_t *first = file.bytes.data + file.bytes.size;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(checkpoint); i++) {
        const uint8_t *data = pf_checkpoint_tensor(checkpoint, i)->data;
        if (data < first) first = data;
    }
    write_seed(target, name, file.bytes.data, (size_t)(first - file.bytes.data));
    pf_checkpoint_free(checkpoint);
    pf_file_close(&file);
}

static void gguf_seeds(void) {
    static const char *const names[] = {
        "llama",   "llama-scaled", "llama-linear", "llama-sliding", "qwen2",    "qwen3",
        "gpt2",    "phi3",         "gemma",        "gemma2",        "gemma3",   "gptneox",
        "granite", "olmo2",        "phi2",         "smollm3",       "stablelm", "starcoder2"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, FIXTURES "%s.gguf", names[i]);
        gguf_head(path, "gguf", names[i]);
    }
    pf_error error = {""};
    pf_attention_options favor = pf_attention_options_default();
    favor.kind = PF_ATTENTION_FAVOR;
    favor.map = PF_MAP_HYPERBOLIC;
    favor.window = 4;
    favor.epsilon = 0.01f;
    snprintf(path, sizeof path, "%s/favor.gguf", folder);
    pf_convert_options convert = {.source = FIXTURES "llama.gguf",
                                  .output = path,
                                  .gguf = {.convert = true, .type = PF_Q8_0},
                                  .attention = &favor};
    if (!pf_convert(&convert, &error)) die(error.message);
    gguf_head(path, "gguf", "favor");
    unlink(path);
}

/* Keys that only Hugging Face folders give us: YaRN, longrope, lists of sliding layers. */
static void converted_seeds(void) {
    static const char *const names[] = {"llama-yarn", "phi3-long", "gemma3", "gpt_neo", "opt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pf_error error = {""};
        char source[256], path[512], name[32];
        snprintf(source, sizeof source, "tests/fixtures/hf_families/%s", names[i]);
        snprintf(path, sizeof path, "%s/converted.gguf", folder);
        snprintf(name, sizeof name, "hf-%s", names[i]);
        const pf_convert_options options = {.source = source, .output = path};
        if (!pf_convert(&options, &error)) die(error.message);
        gguf_head(path, "gguf", name);
        unlink(path);
    }
}

/* Everything that a calibration adds: keys and tensors per head, with fitted features and
 * without. */
static void calibrated_seeds(void) {
    pf_error error = {""};
    const pf_loaded *from = fuzz_fixture(0);
    int32_t ids[48];
    for (int i = 0; i < 48; i++) ids[i] = (i * 37 + 5) % (int32_t)from->model->n_vocab;
    const pf_text_ids text = {ids, 48};
    for (int fit = 0; fit < 2; fit++) {
        char path[512];
        pf_calibration_options options = pf_calibration_options_default();
        options.window = 6;
        options.features = 8;
        options.sinks = 1;
        options.fit = fit;
        options.steps.steps = 25;
        options.steps.n_threads = 1;
        pf_gguf_options as_it_is = {0};
        snprintf(path, sizeof path, "%s/calibrated.gguf", folder);
        pf_calibration *c = pf_calibrate(from->model, &text, 1, &options, &error);
        pf_checkpoint *checkpoint =
            c ? pf_calibration_to_checkpoint(c, from->model, from->checkpoint, &error) : NULL;
        if (!checkpoint || !pf_gguf_write(checkpoint, path, &as_it_is, &error)) die(error.message);
        gguf_head(path, "gguf", fit ? "fitted" : "closed");
        pf_checkpoint_free(checkpoint);
        pf_calibration_free(c);
        unlink(path);
    }
}

static void made_seeds(void) {
    sample made;
    for (int version = 0; version < 2; version++) {
        sample_llama2c(&made, version);
        write_seed("llama2c", version ? "version1" : "version0", made.bytes, made.size);
    }
    sample_safetensors(&made);
    write_seed("safetensors", "four", made.bytes, made.size);
    write_seed("safetensors", "none", "\2\0\0\0\0\0\0\0{}", 10);
    sample_pickle(&made);
    write_seed("pickle", "tensors", made.bytes, made.size);
    write_seed("pth", "tensors", made.bytes, made.size);
    sample_pickle4(&made);
    write_seed("pickle", "protocol4", made.bytes, made.size);
    write_seed("pth", "protocol4", made.bytes, made.size);
    size_t n = sample_tokenizer_bin(&made);
    made.bytes[made.size] = (uint8_t)n; /* for fuzz_tokenizer_bin */
    write_seed("tokenizer_bin", "small", made.bytes, made.size + 1);
    for (int type = 1; type <= 2; type++) {
        sample_tokenizer_model(&made, type);
        write_seed("tokenizer_model", type == 1 ? "unigram" : "bpe", made.bytes, made.size);
    }
    sample_tokenizer_json(&made);
    write_seed("tokenizer_json", "small", made.bytes, made.size);
}

static void tokenizer_json_seeds(void) {
    static const char *const names[] = {"custom", "gpt2",  "llama2-new", "llama2",
                                        "llama3", "qwen2", "smollm",     "unigram"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        pf_error error = {""};
        pf_file file;
        snprintf(path, sizeof path, "tests/fixtures/tokenizers/%s.json", names[i]);
        if (!pf_file_open(path, &file, &error)) die(error.message);
        write_seed("tokenizer_json", names[i], file.bytes.data, file.bytes.size);
        pf_file_close(&file);
    }
}

/* ---- Hugging Face folders, as the parts of hf_folder.h ---- */

static uint8_t parts[1 << 16];
static size_t parts_used;

static void add_bytes(const void *bytes, size_t n) {
    if (n > sizeof parts - parts_used) die("a Hugging Face seed is too large");
    memcpy(parts + parts_used, bytes, n);
    parts_used += n;
}

static void add_file(const char *folder_name, const char *name) {
    char path[256];
    pf_error error = {""};
    pf_file file;
    snprintf(path, sizeof path, "tests/fixtures/%s/%s", folder_name, name);
    if (access(path, F_OK) != 0) return;
    if (!pf_file_open(path, &file, &error)) die(error.message);
    uint64_t head = file.bytes.size;
    bool weights = strstr(name, ".safetensors") != NULL;
    if (weights) memcpy(&head, file.bytes.data, 8);
    add_bytes(file.bytes.data + (weights ? 8 : 0), (size_t)head);
    pf_file_close(&file);
}

/* An index that puts every tensor of a header into the shard. */
static void add_index(const char *head, size_t n) {
    json_t *tensors = json_loadb(head, n, 0, NULL), *map = json_object();
    const char *name;
    json_t *tensor;
    json_object_foreach(tensors, name, tensor) {
        if (strcmp(name, "__metadata__") != 0)
            json_object_set_new(map, name, json_string("shard.safetensors"));
    }
    json_t *index = json_pack("{s:o}", "weight_map", map);
    char *text = json_dumps(index, JSON_COMPACT);
    if (!tensors || !text) die("no index");
    add_bytes(text, strlen(text));
    free(text);
    json_decref(index);
    json_decref(tensors);
}

static void hf_seed(const char *source, const char *name, bool sharded) {
    parts_used = 0;
    add_file(source, "config.json");
    add_bytes("", 1);
    size_t head = parts_used;
    add_file(source, "model.safetensors");
    size_t head_size = parts_used - head;
    add_bytes("", 1);
    if (!strcmp(source, "hf/llama")) add_file(source, "tokenizer_config.json"); /* fuzz_hf's own */
    add_bytes("", 1);
    add_file(source, "generation_config.json");
    add_bytes("", 1);
    if (sharded) add_index((const char *)parts + head, head_size);
    write_seed("hf", name, parts, parts_used);
    pf_error error = {""};
    pf_loaded loaded;
    fuzz_hf(parts, parts_used);
    if (!pf_loaded_open(hf_folder(), &loaded, &error)) die(error.message);
    pf_loaded_close(&loaded);
}

static void hf_seeds(void) {
    glob_t found;
    hf_seed("hf/llama", "llama", false);
    hf_seed("hf/qwen3", "qwen3", false);
    hf_seed("hf/qwen3", "sharded", true);
    hf_seed("hf/gpt2", "gpt2", false);
    if (glob("tests/fixtures/hf_families/*/config.json", 0, NULL, &found) != 0) die("no families");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char source[64], name[32];
        if (sscanf(found.gl_pathv[i], "tests/fixtures/hf_families/%31[^/]", name) != 1)
            die(found.gl_pathv[i]);
        snprintf(source, sizeof source, "hf_families/%s", name);
        hf_seed(source, name, false);
    }
    globfree(&found);
}

static void lora_seeds(void) {
    static const char *const folders[] = {"lora/llama", "lora/gpt2"};
    gguf_head("tests/fixtures/lora/llama.gguf", "lora", "gguf");
    for (int i = 0; i < 2; i++) {
        char path[80];
        pf_error error = {""};
        pf_loaded loaded;
        parts_used = 0;
        add_file(folders[i], "adapter_config.json");
        add_bytes("", 1);
        add_file(folders[i], "adapter_model.safetensors");
        write_seed("lora", folders[i] + 5, parts, parts_used);
        fuzz_lora(parts, parts_used);
        snprintf(path, sizeof path, "tests/fixtures/hf/%s", folders[i] + 5);
        const pf_lora_source adapter = {hf_folder(), 1};
        if (!pf_loaded_open_adapted(path, &adapter, 1, 1, &loaded, &error)) die(error.message);
        pf_loaded_close(&loaded);
    }
}

static void snapshot_seeds(void) {
    pf_error error = {""};
    pf_file file;
    char path[512], name[16];
    snprintf(path, sizeof path, "%s/state", folder);
    for (int i = 0; i < FUZZ_SNAPSHOTS; i++) {
        int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
        pf_continuation rest = {.pending = ids, .n_pending = 2, .has_rng = true};
        pf_session *session = fuzz_snapshot_session(fuzz_fixture(0)->model, i);
        if (!session || !pf_session_append(session, ids, 8, NULL, 0, &error) ||
            !pf_session_save(session, &rest, path, &error) || !pf_file_open(path, &file, &error))
            die(error.message);
        snprintf(name, sizeof name, "state%d", i);
        write_seed("snapshot", name, file.bytes.data, file.bytes.size - 8);
        pf_file_close(&file);
        pf_session_free(session);
    }
    unlink(path);
}

static void prompt_seeds(void) {
    static const char *const texts[] = {
        "Once upon a time", "<s>hello</s><|endoftext|>", "it's 1234567 o'clock\r\n\r\n   now",
        "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xF0\x9F\x98\x80 e\xCC\x81\xC3\xA9",
        "\xFF\xC0\x80\xED\xA0\x80"};
    for (size_t i = 0; i < 20; i++) {
        char name[16], text[128];
        snprintf(name, sizeof name, "text%zu", i);
        int n = snprintf(text, sizeof text, "%c%c%s", (char)('0' + i % 4), (char)('@' + i * 3),
                         texts[i % 5]);
        write_seed("prompt", name, text, (size_t)n);
    }
}

/* The snippets and real templates of tests/test_jinja.c. */
static void jinja_seeds(void) {
    size_t i;
    char name[32];
    json_t *one,
        *cases = json_load_file("tests/fixtures/jinja_constructs.json", JSON_ALLOW_NUL, NULL);
    json_array_foreach(cases, i, one) {
        const json_t *text = json_object_get(one, "template");
        snprintf(name, sizeof name, "construct%zu", i);
        write_seed("jinja", name, json_string_value(text), json_string_length(text));
    }
    json_decref(cases);
    glob_t found;
    if (glob("tests/fixtures/chat_templates/*.json", 0, NULL, &found) != 0) die("no templates");
    for (i = 0; i < found.gl_pathc; i++) {
        json_t *fixture = json_load_file(found.gl_pathv[i], 0, NULL);
        const json_t *text = json_object_get(fixture, "template");
        snprintf(name, sizeof name, "template%zu", i);
        write_seed("jinja", name, json_string_value(text), json_string_length(text));
        json_decref(fixture);
    }
    globfree(&found);
}

int main(int argc, char **argv) {
    if (argc != 2) die("usage: make_seeds FOLDER");
    folder = argv[1];
    mkdir(folder, 0777);
    gguf_seeds();
    converted_seeds();
    calibrated_seeds();
    made_seeds();
    tokenizer_json_seeds();
    hf_seeds();
    lora_seeds();
    snapshot_seeds();
    prompt_seeds();
    jinja_seeds();
    return 0;
}
